import pyarrow as pa
import pytest

from valle.evaluation.items.items import ItemLimits, choose_items
from warehouse.errors import ConfigurationError


def utterance(speaker, number, *, recording=None, text=None, duration=5.0, language="en"):
    name = f"{speaker}-{number}"
    return {
        "segment_id": name,
        "recording_id": recording or name,
        "corpus": "demo",
        "speaker": speaker,
        "language": language,
        "licence": "CC0-1.0",
        "text": text if text is not None else f"sentence {number} of {speaker}",
        "symbols": ["a"],
        "duration": duration,
        "path": f"{name}.flac",
        "offset": 0,
        "size": 0,
        "start_sample": 100,
        "num_samples": int(duration * 16000),
        "sample_rate": 16000,
        "num_frames": int(duration * 75),
    }


def utterances(speakers=5, each=6):
    return [utterance(f"speaker{s}", n) for s in range(speakers) for n in range(each)]


def test_the_prompt_is_another_utterance_of_the_same_speaker():
    items = choose_items(utterances(), count=20, seed=0)
    assert len(items) == 20
    for item in items:
        assert item.prompt != item.utterance
        assert item.prompt.split("-")[0] == item.speaker == item.utterance.split("-")[0]
        assert item.prompt_location.path == f"{item.prompt}.flac"
        assert item.prompt_text == f"sentence {item.prompt.split('-')[1]} of {item.speaker}"


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_rows():
    rows = utterances()
    first = choose_items(rows, count=10, seed=1)
    assert choose_items(rows[::-1], count=10, seed=1) == first
    assert choose_items(rows, count=10, seed=2) != first


def test_rows_may_come_as_an_arrow_table():
    assert choose_items(pa.Table.from_pylist(utterances()), count=7, seed=3) == choose_items(
        utterances(), count=7, seed=3
    )


def test_a_smaller_choice_is_the_beginning_of_a_larger_one():
    assert choose_items(utterances(), count=30, seed=0)[:10] == choose_items(utterances(), count=10, seed=0)


def test_items_are_spread_evenly_over_the_speakers():
    rows = utterances() + [utterance("talker", n) for n in range(100)]
    items = choose_items(rows, count=12, seed=0)
    counts = sorted(sum(item.speaker == name for item in items) for name in {item.speaker for item in items})
    assert counts == [2] * 6


def test_every_item_comes_once_per_trial():
    items = choose_items(utterances(), count=4, seed=0, trials=3)
    assert [item.trial for item in items] == [0, 1, 2] * 4
    assert len({(item.utterance, item.trial) for item in items}) == 12


def test_a_prompt_with_the_same_text_would_give_the_words_away_and_is_not_used():
    rows = [utterance("ann", 0, text="Hello."), utterance("ann", 1, text="hello"), utterance("ann", 2, text="bye")]
    items = choose_items(rows, count=3, seed=0)
    assert {(item.utterance, item.prompt) for item in items if item.utterance != "ann-2"} == {
        ("ann-0", "ann-2"),
        ("ann-1", "ann-2"),
    }


def test_a_prompt_from_another_recording_is_preferred():
    rows = [utterance("ann", n, recording="chapter") for n in range(5)] + [utterance("ann", 9, recording="other")]
    for item in choose_items(rows, count=6, seed=0):
        assert (item.prompt == "ann-9") == (item.utterance != "ann-9")


def test_limits_bound_targets_and_prompts_apart():
    rows = [utterance("ann", n, duration=float(n + 1)) for n in range(10)]
    limits = ItemLimits(min_duration=4, max_duration=8, min_prompt_duration=2, max_prompt_duration=3)
    items = choose_items(rows, count=5, seed=0, limits=limits)
    assert {item.duration for item in items} == {4, 5, 6, 7, 8}
    assert {item.prompt_duration for item in items} <= {2, 3}


def test_utterances_without_speaker_or_words_are_left_out():
    rows = [utterance("ann", 0), utterance("ann", 1), utterance("ann", 2, text=" ... "), utterance("ann", 3)]
    rows[3]["text"] = None
    rows.append(utterance("bob", 0) | {"speaker": None})
    assert {item.utterance for item in choose_items(rows, count=2, seed=0)} == {"ann-0", "ann-1"}


def test_a_speaker_with_one_utterance_gives_no_item_and_the_error_counts_the_others():
    rows = [utterance("ann", 0), utterance("bob", 0), utterance("bob", 1)]
    with pytest.raises(ConfigurationError, match="Only 2 of 3 utterances can be evaluated"):
        choose_items(rows, count=3, seed=0)


def test_where_allow_fewer_those_with_a_prompt_are_taken_and_none_at_all_is_an_error():
    rows = [utterance("ann", 0), utterance("bob", 0), utterance("bob", 1)]
    items = choose_items(rows, count=3, seed=0, allow_fewer=True)
    assert {item.utterance for item in items} == {"bob-0", "bob-1"}
    with pytest.raises(ConfigurationError, match="Only 0 of 1 utterances"):
        choose_items(rows[:1], count=1, seed=0, allow_fewer=True)


def test_a_continuation_is_prompted_with_its_own_first_three_seconds():
    rows = [utterance("ann", 0, duration=2.9), utterance("ann", 1, duration=6.0)]
    (item,) = choose_items(rows, protocol="continuation", count=1, seed=0)
    assert item.utterance == item.prompt == "ann-1"
    assert (item.prompt_location.start_sample, item.prompt_location.num_samples) == (100, 48000)
    assert item.location.num_samples == 96000
    assert (item.prompt_duration, item.prompt_text) == (3.0, "")


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigurationError, match="cross_sentence or continuation, not 'zero_shot'"):
        choose_items(utterances(), protocol="zero_shot", count=1)
