import json
import re
from dataclasses import replace

import pytest

from valle.cli import main
from valle.data_root import DataRoot
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.compare import SystemName, compare_stored, compare_systems, find_system
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

FAST = BootstrapOptions(replicas=500)


def under(rows, **changes):
    return [replace(row, **changes) for row in rows]


@pytest.fixture(scope="module")
def systems(make_evaluation):
    """A good and a bad system and a control, on the same items."""
    rows = make_evaluation({"good": (0.05, 0.6), "bad": (0.4, 0.3), "codec": (0.04, 0.62)}, num_utterances=10, trials=2)
    return {name: [row for row in rows if row.system == name] for name in ("good", "bad", "codec")}


@pytest.fixture(scope="module")
def data_root(systems, tmp_path_factory):
    """A lake with one evaluation of `good`, one of `bad`, and one of both."""
    data_root = DataRoot(tmp_path_factory.mktemp("data"))
    for evaluation, names in {"first": ["good", "codec"], "second": ["bad"], "third": ["good", "bad"]}.items():
        rows = [row for name in names for row in under(systems[name], evaluation=evaluation)]
        rows = [replace(row, score_id=f"{evaluation}/{row.score_id}") for row in rows]
        data_root.lake.append(ScoreRow, rows, f"scores:{evaluation}")
    return data_root


def test_the_sentence_names_the_better_system_and_the_normaliser(systems):
    result = compare_systems(systems["good"], systems["bad"], options=FAST)
    assert result.paired.wer_verdict == result.paired.sim_verdict == "better"
    rates = [f"{100 * system.wer.value:.2f} %" for system in (result.a, result.b)]
    assert "% micro WER under zip-ls/1 (" in result.sentence
    assert result.sentence.startswith(f"good makes fewer word errors than bad: {' against '.join(rates)}")
    assert "good is more similar to the prompt: SIM-o " in result.sentence
    assert result.sentence.endswith("160 pairs of 8 speakers.")
    assert re.search(r"95 % interval -\d+\.\d\d to -\d+\.\d\d, probability of improvement 1\.00", result.sentence)


def test_the_sentence_turns_around_with_the_systems(systems):
    forth = compare_systems(systems["good"], systems["bad"], options=FAST)
    back = compare_systems(systems["bad"], systems["good"], options=FAST)
    assert back.sentence.startswith("bad makes more word errors than good")
    assert "bad is less similar to the prompt" in back.sentence
    assert back.paired.wer.difference == pytest.approx(-forth.paired.wer.difference)


def test_the_sentence_of_a_tie_has_its_reason(systems, make_row):
    equal = compare_systems(systems["good"], under(systems["good"], system="twin"), options=FAST)
    assert "good and twin tie in word errors" in equal.sentence
    assert "+0.00 points, 95 % interval +0.00 to +0.00, which includes zero" in equal.sentence
    text = "word " * 300
    a = [make_row("a", str(i), f"s{i}", reference=text, hypothesis=text) for i in range(5)]
    b = [make_row("b", str(i), f"s{i}", reference=text, hypothesis="wort " + "word " * 299) for i in range(5)]
    assert "below 0.5 points" in compare_systems(a, b, options=FAST).sentence
    lone = compare_systems([make_row("a")], [make_row("b", hypothesis="no")], options=FAST)
    assert "a single speaker gives no interval" in lone.sentence


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"asr_model": "large"}, "ASR model (tiny and large)"),
        ({"speaker_model": "wavlm"}, "speaker encoder (resemblyzer and wavlm)"),
        ({"normaliser": "f5/1"}, "normaliser (zip-ls/1 and f5/1)"),
        ({"protocol": "continuation"}, "protocol (cross_sentence and continuation)"),
        ({"prompt": "another"}, "list of items (80 with hash "),
        ({"items_hash": "abc"}, "list of items (80 with hash "),
    ],
)
def test_what_was_not_the_same_for_both_is_refused_by_name(systems, changes, named):
    with pytest.raises(ConfigurationError, match=re.escape(named)) as refused:
        compare_systems(systems["good"], under(systems["bad"], **changes))
    assert str(refused.value).count("(") == 1 + named.startswith("protocol")


def test_everything_that_differs_is_named_at_once(systems):
    with pytest.raises(ConfigurationError, match=r"ASR model .*, speaker encoder .*; evaluate both"):
        compare_systems(systems["good"], under(systems["bad"], asr_model="x", speaker_model="y"))


def test_a_missing_utterance_is_another_list_and_not_a_better_score(systems):
    kept = [row for row in systems["bad"] if row.utterance != systems["bad"][0].utterance]
    with pytest.raises(ConfigurationError, match=r"list of items \(80 with hash .* and 79 with hash"):
        compare_systems(systems["good"], kept)


def test_trials_must_be_the_same_except_for_a_system_with_one_trial(systems):
    once = [row for row in systems["codec"] if row.trial == 0]
    assert compare_systems(systems["good"], once, options=FAST).paired.num_pairs == 160
    thrice = systems["bad"] + under(once, system="bad", trial=2)
    with pytest.raises(ConfigurationError, match=r"number of trials \(2 and 3\)"):
        compare_systems(systems["good"], thrice)


def test_a_system_is_found_by_its_evaluation_or_by_its_own_name():
    known = [SystemName("e1", "codec"), SystemName("e1", "m1"), SystemName("e2", "m2"), SystemName("e3", "m2")]
    assert find_system("e1", known) == find_system("m1", known) == find_system("e1:m1", known) == known[1]
    assert find_system("codec", known) == known[0]
    with pytest.raises(ConfigurationError, match="matches e2:m2, e3:m2; name one"):
        find_system("m2", known)
    with pytest.raises(ConfigurationError, match="no scores of 'm3'; it has e1:codec"):
        find_system("m3", known)
    with pytest.raises(ConfigurationError, match="valle evaluate"):
        find_system("m3", [])


def test_stored_systems_of_two_evaluations_are_compared(data_root, systems):
    stored = compare_stored("first", "second", data_root.lake, options=FAST)
    direct = compare_systems(systems["good"], systems["bad"], options=FAST)
    assert stored.sentence == direct.sentence
    same = compare_stored("first", "third:good", data_root.lake, options=FAST)
    assert same.sentence.startswith("first:good and third:good tie")


def test_a_normaliser_that_is_not_stored_is_refused(data_root):
    with pytest.raises(ConfigurationError, match="normalised by zip-ls/1 and by zip-ls/1"):
        compare_stored("first", "second", data_root.lake, normaliser="f5")


def test_raw_texts_are_compared_under_a_normaliser_that_neither_was_scored_with(systems, tmp_path):
    lake = DataRoot(tmp_path).lake
    for name in ("good", "bad"):
        rows = under(systems[name], evaluation=name, language="en")
        rows = [replace(row, reference_raw=row.reference, hypothesis_raw=f"{row.hypothesis}!") for row in rows]
        lake.append(ScoreRow, [replace(row, score_id=f"{name}/{row.score_id}") for row in rows], f"scores:{name}")
    result = compare_stored("good", "bad", lake, normaliser="f5", options=FAST)
    assert result.a.normaliser == result.b.normaliser == "f5/1"
    assert result.paired.wer == compare_systems(systems["good"], systems["bad"], options=FAST).paired.wer


def test_the_command_prints_the_verdict(data_root, capsys):
    assert main(["evaluate", "compare", "first", "second", "--data", str(data_root.root), "--replicas", "500"]) == 0
    assert capsys.readouterr().out.startswith("good makes fewer word errors than bad")
    command = ["evaluate", "compare", "second", "first", "--data", str(data_root.root), "--format", "json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdicts"] == {"wer": "worse", "wer_macro": "worse", "sim_o": "worse"}
    assert answer["paired"]["wer"]["low"] > 0
    assert main(["evaluate", "compare", "first", "nothing", "--data", str(data_root.root)]) == 1
    assert "no scores of 'nothing'" in capsys.readouterr().err
