"""More voices from those there are: faster and slower clips."""

import numpy as np
import pytest
import soundfile
from sine_speaker import SineSpeaker, small

from manifests.corpora.synthetic import TABLE, parse_table
from manifests.synthesis.perturb import main, perturb
from manifests.synthesis.synthesize import synthesize
from warehouse.errors import ConfigurationError, ManifestError


def rows_of(folder):
    return {row.id: row for row in parse_table((folder / TABLE).read_text(encoding="utf-8"))}


def loudest_frequency(path):
    samples, rate = soundfile.read(path)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=rate * 4))
    return float(np.fft.rfftfreq(rate * 4, 1 / rate)[spectrum.argmax()])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    synthesize(small(folder), SineSpeaker())
    return folder


def test_every_training_clip_comes_once_at_every_factor(source, tmp_path):
    made = perturb(source, tmp_path, [0.8, 1.25])
    main_clips = [row for row in rows_of(source).values() if row.split == "main"]
    assert made == 2 * len(main_clips) > 0
    assert sorted(rows_of(tmp_path)) == sorted(f"{row.id}@{f}" for row in main_clips for f in (0.8, 1.25))


def test_a_faster_clip_is_shorter_and_higher_and_of_a_voice_of_its_own(source, tmp_path):
    perturb(source, tmp_path, [1.25])
    clip = next(row for row in rows_of(source).values() if row.split == "main")
    faster = rows_of(tmp_path)[f"{clip.id}@1.25"]
    assert float(faster.duration_s) == pytest.approx(float(clip.duration_s) / 1.25, abs=0.01)
    assert loudest_frequency(tmp_path / faster.file) == pytest.approx(
        1.25 * loudest_frequency(source / clip.file), rel=0.02
    )
    assert (faster.voice, faster.text) == (f"{clip.voice}@1.25", clip.text)


def test_a_second_call_adds_what_is_missing_alone(source, tmp_path):
    perturb(source, tmp_path, [0.8])
    before = (tmp_path / TABLE).read_bytes()
    assert perturb(source, tmp_path, [0.8]) == 0
    assert perturb(source, tmp_path, [0.8, 1.25]) > 0
    assert (tmp_path / TABLE).read_bytes().startswith(before)


@pytest.mark.parametrize("factors", [[], [1.0], [0.1], [float("nan")]])
def test_a_factor_that_is_no_change_or_no_speed_is_refused(source, tmp_path, factors):
    with pytest.raises(ConfigurationError, match=r"between 0\.5 and 2"):
        perturb(source, tmp_path, factors)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"manifests\.synthesis\.synthesize"):
        perturb(tmp_path, tmp_path / "out", [0.9])


def test_the_command_says_in_a_sentence_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["perturb", "--source", str(tmp_path), "--out", str(tmp_path), "--factors", "fast"])
    assert main() == 1
    assert "write 0.89,1.12" in capsys.readouterr().err
