"""Test clips of a synthetic corpus as a list that `valle evaluate` reads."""

import sys

import pytest
from sine_speaker import HELD_OUT, SineSpeaker, small

from manifests.corpora.synthetic import TABLE, parse_table
from manifests.synthesis import sentence_list
from manifests.synthesis.sentence_list import list_rows
from manifests.synthesis.synthesize import synthesize
from valle.evaluation.items.protocols import read_seed_tts_eval
from warehouse.errors import ConfigurationError, ManifestError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "spoken"
    synthesize(small(folder, test_clips=3, hours=1 / 3600), SineSpeaker())
    return folder


def test_an_evaluation_reads_every_test_clip_with_another_clip_of_its_voice_as_prompt(corpus, tmp_path, monkeypatch):
    path = tmp_path / "sentences.lst"
    monkeypatch.setattr(sys, "argv", ["sentence_list", "--corpus", str(corpus), "--out", str(path)])
    assert sentence_list.main() == 0
    clips = {clip.id: clip for clip in parse_table((corpus / TABLE).read_text()) if clip.split == "heldout"}
    files = {(corpus / clip.file).resolve(): clip for clip in clips.values()}
    items = read_seed_tts_eval(path, language="en").items
    assert [item.utterance for item in items] == [f"{v}_d1_{i:05d}" for v in HELD_OUT for i in range(3)]
    for item in items:
        clip, prompt = clips[item.utterance], files[(tmp_path / item.prompt_location.path).resolve()]
        assert (item.text, item.prompt_text) == (clip.prompt, prompt.prompt)
        assert files[(tmp_path / item.location.path).resolve()] == clip
        assert prompt.voice == clip.voice
        assert prompt != clip


def test_kinds_can_be_chosen_and_none_is_refused(corpus, tmp_path, monkeypatch, capsys):
    assert len(list(list_rows(corpus, tmp_path, kinds=("digits",)))) == 6
    asked = ["sentence_list", "--corpus", str(corpus), "--out", str(tmp_path / "none.lst"), "--kinds", "phrase"]
    monkeypatch.setattr(sys, "argv", asked)
    assert sentence_list.main() == 1
    assert "no test clip of these kinds" in capsys.readouterr().err
    assert not (tmp_path / "none.lst").exists()


def test_a_voice_with_one_clip_and_a_folder_without_a_table_are_refused(tmp_path):
    synthesize(small(tmp_path / "one", test_clips=1, hours=0), SineSpeaker())
    with pytest.raises(ConfigurationError, match="a single test clip"):
        list(list_rows(tmp_path / "one", tmp_path))
    with pytest.raises(ManifestError, match=r"has no corpus\.tsv"):
        list(list_rows(tmp_path, tmp_path))
