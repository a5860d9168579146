"""`valle evaluate aggregate` as its user sees it."""

import gzip
import json
import re
from pathlib import Path

import pytest

from valle.cli import main

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "published_scores"
HEADER = "utterance\ttrial\treference\thypothesis\tsim_o\n"


def table(path, *lines, header=HEADER):
    content = header + "".join("\t".join(map(str, line)) + "\n" for line in lines)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return str(path)


def scores(capsys, *arguments):
    assert main(["evaluate", "aggregate", *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


LINES = [
    ("ann-1-1", 0, "one two three four", "one two three for", 0.5),
    ("ann-1-2", 0, "one two", "one two", 0.7),
    ("bob-1-1", 0, "One, two!", "nothing heard here", 0.3),
]


def test_rates_are_fractions_by_their_definitions(tmp_path, capsys):
    result = scores(capsys, table(tmp_path / "a.tsv", *LINES), "--normaliser", "zip-ls")
    assert result["wer"]["micro"] == pytest.approx((1 + 0 + 3) / 8)
    assert result["wer"]["macro"] == pytest.approx((0.25 + 0 + 1.5) / 3)
    assert result["ser"]["mean"] == pytest.approx(2 / 3)
    assert result["catastrophic"]["mean"] == pytest.approx(1 / 3)
    assert result["sim_o"]["mean"] == pytest.approx(0.5)
    assert (result["lines"], result["speakers"], result["words"], result["missing"]) == (3, 2, 8, 0)
    low, high = result["wer"]["interval"]
    assert low <= result["wer"]["micro"] <= high


def test_a_gzipped_table_scores_the_same(tmp_path, capsys):
    plain = scores(capsys, table(tmp_path / "a.tsv", *LINES))
    assert scores(capsys, table(tmp_path / "a.tsv.gz", *LINES)) == plain


def test_the_normaliser_is_what_was_asked_for(tmp_path, capsys):
    path = table(tmp_path / "a.tsv", ("ann-1", 0, "well-known", "well known", 0.5))
    assert scores(capsys, path, "--normaliser", "seed")["wer"]["micro"] > 0
    assert scores(capsys, path, "--normaliser", "zip-ls")["wer"]["micro"] == 0


def test_an_empty_hypothesis_is_missing_speech(tmp_path, capsys):
    path = table(tmp_path / "a.tsv", ("ann-1", 0, "one two", "", ""), ("bob-1", 0, "one two", "one two", 0.8))
    result = scores(capsys, path)
    assert (result["missing"], result["wer"]["micro"], result["sim_o"]["mean"]) == (1, 0.5, 0.4)


def test_two_tables_give_a_paired_verdict_in_words(tmp_path, capsys):
    lines = [(f"s{i % 10}-{i}", 0, "one two three four", "one two three four", 0.9) for i in range(40)]
    worse = [
        (name, trial, text, "one two three fore" if i % 2 else text, 0.5)
        for i, (name, trial, text, *_) in enumerate(lines)
    ]
    a, b = table(tmp_path / "good.tsv", *lines), table(tmp_path / "bad.tsv", *worse)
    paired = scores(capsys, a, b)["paired"]
    assert (paired["a"], paired["b"], paired["pairs"]) == ("good", "bad", 40)
    assert paired["wer"]["micro"]["delta"] == pytest.approx(-0.125)
    assert paired["wer"]["micro"]["verdict"] == "better"
    assert paired["sim_o"]["verdict"] == "better"
    assert paired["sim_o"]["probability_of_improvement"] == 1.0
    assert scores(capsys, a, a)["paired"]["wer"]["micro"]["verdict"] == "tie"


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        (
            "utterance\ttrial\treference\thypothesis\n",
            ("a-1", 0, "x", "x"),
            "line 1: the header must name .* sim_o is not there",
        ),
        (HEADER, ("a-1", 0, "x"), "line 2: there are 3 columns where the header names 5"),
        (HEADER, ("a-1", "zero", "x", "x", 0.1), "line 2: trial is 'zero', which is no whole number"),
        (HEADER, ("a-1", 0, "x", "x", "high"), "line 2: sim_o is 'high', which is no number"),
        (HEADER, ("a-1", 0, "x", "x", "nan"), "line 2: sim_o is 'nan', which is no finite number"),
        (HEADER, ("a-1", 0, "x", "x", 30.3), "line 2: sim_o is 30.3, outside the range of a cosine"),
        (HEADER, ("a-1", 0, "?!", "x", 0.1), "no line with a word under valle-en .1 excluded"),
        (HEADER, ("", 0, "x", "x", 0.1), "line 2: the utterance has no name"),
    ],
)
def test_bad_input_is_one_sentence_with_its_line(tmp_path, capsys, header, line, expected):
    path = table(tmp_path / "a.tsv", line, header=header)
    assert main(["evaluate", "aggregate", path]) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert re.search(expected, sentence), sentence


def test_a_trial_that_stands_twice_is_refused_with_its_line(tmp_path, capsys):
    path = table(tmp_path / "a.tsv", LINES[0], LINES[1], LINES[0])
    assert main(["evaluate", "aggregate", path]) == 1
    assert "line 4: trial 0 of ann-1-1 is repeated; keep one" in capsys.readouterr().err


def test_similarity_of_some_lines_only_is_refused(tmp_path, capsys):
    path = table(tmp_path / "a.tsv", LINES[0], ("ann-9", 0, "one", "one", ""))
    assert main(["evaluate", "aggregate", path]) == 1
    assert "1 of 2 lines with speech have no sim_o" in capsys.readouterr().err


def test_lines_without_a_word_of_reference_are_excluded_and_named(tmp_path, capsys):
    path = table(tmp_path / "a.tsv", LINES[0], ("bob-1", 0, "...", "one", 0.5))
    result = scores(capsys, path)
    assert (result["lines"], result["excluded"]) == (1, {path: ["line 3, bob-1"]})
    assert main(["evaluate", "aggregate", path]) == 0
    assert "because no word of their reference is left: line 3, bob-1." in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bbroken", b"\xff\xfe\xfa"])
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    assert main(["evaluate", "aggregate", str(path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.real
@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published scores lie beside the checkout, not in it")
def test_published_numbers_and_verdicts_are_reproduced_from_the_command_line(capsys):
    files = [str(PUBLISHED / f"{name}.tsv.gz") for name in ("valle_lifeiteng_cross", "yourtts_cross")]
    result = scores(capsys, *files, "--normaliser", "nemo-hubert")
    ours, theirs = result["systems"]
    assert (round(ours["wer"]["micro"], 4), round(theirs["wer"]["micro"], 4)) == (0.0754, 0.0785)
    assert (round(ours["wer"]["macro"], 4), round(theirs["wer"]["macro"], 4)) == (0.0793, 0.0875)
    assert (round(ours["sim_o"]["mean"], 3), round(theirs["sim_o"]["mean"], 3)) == (0.303, 0.373)
    assert round(ours["catastrophic"]["mean"], 4) == 0.0108
    micro = result["paired"]["wer"]["micro"]
    assert micro["verdict"] == "tie"
    assert micro["probability_of_improvement"] == pytest.approx(0.80, abs=0.02)
    assert micro["interval"] == pytest.approx([-0.0098, 0.0045], abs=0.001)
    options = ("--normaliser", "nemo-hubert", "--clustering", "line", "--replicas", "2000")
    by_line = scores(capsys, *files, *options)["paired"]["wer"]["macro"]
    assert by_line["verdict"] == "better"
    assert by_line["delta"] == pytest.approx(-0.0081, abs=0.0001)
    assert by_line["interval"] == pytest.approx([-0.0124, -0.0041], abs=0.0005)
