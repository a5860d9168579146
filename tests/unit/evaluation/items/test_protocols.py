import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from valle.audio import Audio, write_audio
from valle.evaluation.items.item_list import read_list, write_list
from valle.evaluation.items.items import spread_over_speakers
from valle.evaluation.items.protocols import (
    librispeech_items,
    read_librispeech_pc,
    read_seed_tts_eval,
    resolve_protocol,
)
from warehouse.errors import ConfigurationError

F5_LIST = Path(__file__).resolve().parents[5] / "shared/corpus/protocols/librispeech_pc_test_clean_cross_sentence.lst"
ROW = "61-70968-0001\t3.5\tA prompt, here.\t61-70968-0005\t5.25\tIt's \"quoted\", isn't it?"


@pytest.mark.real
@pytest.mark.skipif(not F5_LIST.exists(), reason="the list lies beside the checkout, not in it")
def test_the_list_of_f5_has_its_published_counts():
    items = read_librispeech_pc(F5_LIST, Path("LibriSpeech")).items
    assert len(items) == 1127
    assert len({item.speaker for item in items}) == 39
    assert len({item.prompt for item in items}) == 448
    assert sum(len(item.text.split()) for item in items) == 20_310
    prompts = [item.prompt_duration for item in items]
    assert (round(min(prompts), 2), round(max(prompts), 1)) == (2.4, 4.5)
    assert all(4.0 <= item.duration <= 10.0 and item.utterance != item.prompt for item in items)
    assert sum(item.utterance.split("-")[:2] == item.prompt.split("-")[:2] for item in items) == 691


def test_a_row_of_librispeech_pc_becomes_an_item(tmp_path):
    path = tmp_path / "pc.lst"
    path.write_text(ROW + "\n", encoding="utf-8")
    (item,) = read_librispeech_pc(path, tmp_path / "LibriSpeech").items
    assert (item.utterance, item.prompt, item.speaker) == ("61-70968-0005", "61-70968-0001", "61")
    assert (item.text, item.prompt_text) == ("It's \"quoted\", isn't it?", "A prompt, here.")
    assert (item.duration, item.prompt_duration) == (5.25, 3.5)
    assert item.location.path.endswith("LibriSpeech/61/70968/61-70968-0005.flac")
    (tmp_path / "LibriSpeech" / "test-clean").mkdir(parents=True)
    (item,) = read_librispeech_pc(path, tmp_path / "LibriSpeech").items
    assert item.location.path.endswith("LibriSpeech/test-clean/61/70968/61-70968-0005.flac")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\tb\tc\n", "line 1: there are 3 tab-separated columns, not 6"),
        (ROW + "\n" + ROW.replace("5.25", "long") + "\n", "line 2: a duration is no number"),
        (ROW.replace("61-70968-0005", "other") + "\n", "line 1: it needs the ids"),
        (ROW + "\n" + ROW + "\n", "61-70968-0005 is listed twice"),
        ("", "has no row"),
    ],
)
def test_a_bad_list_of_librispeech_pc_is_one_sentence(tmp_path, content, expected):
    path = tmp_path / "pc.lst"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        read_librispeech_pc(path, tmp_path)


def test_rows_of_seed_tts_eval_have_two_to_five_fields(tmp_path):
    path = tmp_path / "en" / "meta.lst"
    path.parent.mkdir()
    path.write_text(
        "a|What it says.|prompt-wavs/p1.wav|Say this.\n"
        "b|What it says.|prompt-wavs/p1.wav|Say that.|wavs/b.wav\n"
        "c.wav|Say more.|prompt-wavs/p2.wav\n"
        "d|Say it in any voice.\n",
        encoding="utf-8",
    )
    resolved = read_seed_tts_eval(path, language="en")
    four, five, three, two = resolved.items
    assert [item.utterance for item in resolved.items] == ["a", "b", "c", "d"]
    assert (two.text, two.prompt, two.prompt_location, two.speaker) == ("Say it in any voice.", "", None, "d")
    assert (four.text, four.prompt_text, four.location) == ("Say this.", "What it says.", None)
    assert five.location.path == str(tmp_path / "en" / "wavs" / "b.wav")
    assert (three.text, three.prompt_text, three.speaker) == ("Say more.", "", "p2")
    assert four.prompt_location.path == str(tmp_path / "en" / "prompt-wavs" / "p1.wav")
    assert not resolved.has_recordings
    assert not resolved.has_prompts


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a|", "line 1: the utterance, its prompt or its text is empty"),
        ("a|b|c|d|e|f", "line 1: there are 6 fields"),
        ("just text", "line 1: there are 1 fields"),
        ("a||p.wav", "line 1: the utterance, its prompt or its text is empty"),
    ],
)
def test_a_bad_row_of_seed_tts_eval_is_one_sentence(tmp_path, line, expected):
    path = tmp_path / "meta.lst"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        read_seed_tts_eval(path, language="zh")


@pytest.fixture
def librispeech(tmp_path):
    """Two speakers, a chapter each, utterances of 2, 5, 8 and 12 seconds."""
    for speaker in ("19", "84"):
        folder = tmp_path / "LibriSpeech" / "test-clean" / speaker / "100"
        lines = []
        for number, seconds in enumerate((2, 5, 8, 12)):
            name = f"{speaker}-100-{number:04d}"
            write_audio(folder / f"{name}.flac", Audio(np.zeros(seconds * 1000, np.float32), 1000))
            lines.append(f"{name} TEXT NUMBER {number}\n")
        (folder / f"{speaker}-100.trans.txt").write_text("".join(lines), encoding="utf-8")
    return tmp_path / "LibriSpeech"


def test_continuation_prompts_with_the_first_three_seconds_of_utterances_of_4_to_10_seconds(librispeech):
    resolved = librispeech_items(librispeech, "librispeech_continuation")
    assert [item.utterance for item in resolved.items] == ["19-100-0001", "19-100-0002", "84-100-0001", "84-100-0002"]
    for item in resolved.items:
        assert item.prompt == item.utterance
        assert (item.prompt_location.start_sample, item.prompt_location.num_samples) == (0, 3000)


def test_cross_sentence_prompts_with_three_seconds_of_another_utterance_of_the_speaker(librispeech):
    resolved = librispeech_items(librispeech, "librispeech_cross_sentence")
    assert len(resolved.items) == 4
    for item in resolved.items:
        name = Path(item.prompt_location.path).stem
        seconds = {"0001": 5, "0002": 8, "0003": 12}[name[-4:]]
        assert name != item.utterance
        assert name.split("-")[0] == item.speaker
        assert item.prompt_location.start_sample + 3000 <= seconds * 1000
        assert item.prompt_location.num_samples == 3000
    assert librispeech_items(librispeech, "librispeech_cross_sentence").hash == resolved.hash
    assert librispeech_items(librispeech, "librispeech_cross_sentence", seed=1).hash != resolved.hash


def test_the_hash_of_a_list_is_the_same_on_every_machine_and_changes_with_its_content(tmp_path):
    path = tmp_path / "pc.lst"
    path.write_text(ROW + "\n", encoding="utf-8")
    here, there = (read_librispeech_pc(path, tmp_path / name) for name in ("here", "there"))
    assert here.items != there.items
    assert here.hash == there.hash
    assert here.with_trials(3).hash != here.hash
    right = dataclasses.replace(here.items[0].location, channel=1)
    of_channel = dataclasses.replace(here, items=(dataclasses.replace(here.items[0], location=right),))
    assert of_channel.hash != here.hash
    other = dataclasses.replace(here, items=(dataclasses.replace(here.items[0], text="Other."),))
    assert other.hash != here.hash


def test_a_list_survives_its_file_and_a_changed_file_is_refused(tmp_path, librispeech):
    resolved = librispeech_items(librispeech, "librispeech_cross_sentence").with_trials(2)
    path = tmp_path / "items.json"
    write_list(resolved, path)
    assert read_list(path) == resolved
    content = json.loads(path.read_text(encoding="utf-8"))
    content["items"][0]["text"] = "SOMETHING EASIER"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="declares the hash"):
        read_list(path)


def test_a_protocol_names_what_it_needs(tmp_path):
    with pytest.raises(ConfigurationError, match="librispeech_pc needs a list"):
        resolve_protocol("librispeech_pc", listing=None, audio=tmp_path)
    with pytest.raises(ConfigurationError, match="librispeech_continuation needs the LibriSpeech folder"):
        resolve_protocol("librispeech_continuation", listing=None, audio=None)
    with pytest.raises(ConfigurationError, match="has no LibriSpeech transcript"):
        resolve_protocol("librispeech_continuation", listing=None, audio=tmp_path)


def test_a_few_items_of_a_list_are_spread_over_its_speakers(librispeech):
    items = librispeech_items(librispeech, "librispeech_continuation").items
    assert {item.speaker for item in spread_over_speakers(items, 2)} == {"19", "84"}
