"""The voices of Kokoro and the voices made of them."""

import io
import tarfile

import numpy as np
import pytest

from manifests.synthesis.kokoro import HELD_OUT_VOICES, MAIN_VOICES, MORE_VOICES, crossed_voices, read_style
from manifests.synthesis.synthesize import CorpusSynthesisOptions
from warehouse.errors import ConfigurationError


@pytest.fixture
def archive(tmp_path):
    """Two voices whose styles say who they are: 1 and 2 everywhere."""
    path = tmp_path / "voices.tgz"
    with tarfile.open(path, "w:gz") as voices:
        for name, value in (("af_one", 1.0), ("am_two", 2.0)):
            content = np.full((510, 256), value, dtype="<f4").tobytes()
            member = tarfile.TarInfo(f"package/voices/{name}.bin")
            member.size = len(content)
            voices.addfile(member, io.BytesIO(content))
    return path


def test_no_voice_is_both_trained_on_and_held_out():
    everyone = (*MAIN_VOICES, *MORE_VOICES, *HELD_OUT_VOICES)
    assert len(everyone) == len(set(everyone)) == 54


def test_a_published_voice_has_its_own_style(archive):
    np.testing.assert_array_equal(read_style(archive, "am_two"), np.full((510, 256), 2.0))


def test_a_crossed_voice_has_the_timbre_of_the_first_and_the_manner_of_the_second(archive):
    style = read_style(archive, "af_one~am_two")
    assert style.shape == (510, 256)
    assert (style[:, :128] == 1).all()
    assert (style[:, 128:] == 2).all()


@pytest.mark.parametrize("voice", ["af_three", "af_one~af_three", "af_one~am_two~af_one"])
def test_a_voice_that_the_archive_does_not_hold_is_named(archive, voice):
    with pytest.raises(ConfigurationError, match="has no voice"):
        read_style(archive, voice)


def test_crossed_voices_are_pairs_of_two_and_each_comes_once():
    crosses = crossed_voices(60, seed=0, of=MAIN_VOICES)
    assert crosses == crossed_voices(60, seed=0, of=MAIN_VOICES)
    assert crosses != crossed_voices(60, seed=1, of=MAIN_VOICES)
    assert len(set(crosses)) == 60
    for cross in crosses:
        timbre, manner = cross.split("~")
        assert timbre != manner
        assert {timbre, manner} <= set(MAIN_VOICES)


def test_more_crosses_than_pairs_are_refused():
    assert set(crossed_voices(2, seed=0, of=("af_one", "am_two"))) == {"af_one~am_two", "am_two~af_one"}
    with pytest.raises(ConfigurationError, match="in 2 ways, not 3"):
        crossed_voices(3, seed=0, of=("af_one", "am_two"))


def test_a_cross_with_a_held_out_voice_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="none that is held out"):
        CorpusSynthesisOptions(out=tmp_path, hours=1, voices=("af_sky~bm_daniel",))
