import numpy as np
import pytest

from manifests.demo.clips import demo_folder
from valle.audio import Audio, write_audio
from valle.evaluation.codec.clips import clips_of_folder, clips_of_lake
from warehouse.errors import ManifestError, StageError
from warehouse.lake.tables import Lake


@pytest.fixture
def corpus(tmp_path):
    lines = ["id\tsplit\tspeaker\tfile\tduration_s\tnative_sr\ttext"]
    for index, (split, seconds, rate) in enumerate(
        [
            ("main", 1, 24_000),
            ("heldout", 1, 24_000),
            ("heldout", 2, 16_000),
            ("heldout", 1, 8_000),
            ("heldout", 9, 24_000),
        ]
    ):
        write_audio(tmp_path / f"{index}.wav", Audio(np.full(seconds * 24_000, 0.1, np.float32), 24_000))
        lines.append(f"{index}\t{split}\ts{index}\t{index}.wav\t{seconds}\t{rate}\tclip {index}")
    (tmp_path / "corpus.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_clips_are_held_out_short_enough_and_not_telephone_speech(corpus):
    items = clips_of_folder(corpus, split="heldout", count=30, longest=5)
    assert [(item.utterance, item.text, item.speaker, item.duration) for item in items] == [
        ("1", "clip 1", "s1", 1.0),
        ("2", "clip 2", "s2", 2.0),
    ]
    assert all(item.prompt == item.utterance and item.location.path.endswith(".wav") for item in items)


def test_fewer_clips_are_spread_over_all(corpus):
    items = clips_of_folder(corpus, split="heldout", count=2, longest=10)
    assert [item.utterance for item in items] == ["1", "4"]


def test_a_folder_without_what_is_asked_for_is_refused(corpus, tmp_path):
    with pytest.raises(ManifestError, match="no row of split test"):
        clips_of_folder(corpus, split="test", count=3, longest=5)
    with pytest.raises(ManifestError, match=r"no corpus\.tsv"):
        clips_of_folder(tmp_path / "nowhere", split="test", count=3, longest=5)


def test_the_corpus_in_the_package_is_such_a_folder(tmp_path):
    items = clips_of_folder(demo_folder(), split="heldout", count=3, longest=5)
    assert len({item.speaker for item in items}) == 3
    assert all(0 < item.duration <= 5 and item.location.path for item in items)
    (tmp_path / "corpus.tsv").write_text("id\tsplit\tfile\ttext\n0\theldout\t0.wav\tOne.\n")
    with pytest.raises(ManifestError, match="has no column duration; it needs id, split, file, text and duration"):
        clips_of_folder(tmp_path, split="heldout", count=3, longest=5)


def test_a_lake_without_utterances_is_refused(tmp_path):
    with pytest.raises(StageError, match="No utterance"):
        clips_of_lake(Lake(tmp_path), where="true", count=3, longest=5)
