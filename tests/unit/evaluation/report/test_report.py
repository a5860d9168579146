import dataclasses
import re

import pytest

from valle.evaluation.report.markdown import format_alignment
from valle.evaluation.report.report import write_report
from valle.evaluation.report.sections import section
from valle.evaluation.stats.bootstrap import BootstrapOptions
from warehouse.errors import ConfigurationError

FAST = BootstrapOptions(replicas=500)
PNG = b"\x89PNG\r\n"
CONTROLS = {
    "ground_truth": (0.02, 0.74),
    "codec": (0.04, 0.68),
    "shuffled_speaker": (0.02, 0.3),
    "prompt_copied": (0.9, 0.99),
    "espeak": (0.03, 0.25),
}


@pytest.mark.parametrize("missing", CONTROLS)
def test_a_report_is_refused_without_any_of_the_controls(make_row, tmp_path, missing):
    rows = [make_row(name) for name in ("model", *CONTROLS) if name != missing]
    with pytest.raises(ConfigurationError, match=f"needs scores of {missing} beside"):
        write_report(rows, tmp_path, title="t", provenance={})
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_refused_when_a_control_was_scored_under_another_normaliser_only(make_row, tmp_path):
    rows = [make_row(name, normaliser="f5/1" if name == "codec" else "zip-ls/1") for name in ("model", *CONTROLS)]
    with pytest.raises(ConfigurationError, match="needs scores of codec beside"):
        write_report(rows, tmp_path, title="t", provenance={}, normaliser="zip-ls/1")


def test_a_control_that_the_list_cannot_have_is_missing_with_its_reason(make_row, tmp_path):
    rows = [make_row(name) for name in ("model", *CONTROLS) if name != "shuffled_speaker"]
    reason = {"shuffled_speaker": "the list has one speaker only"}
    report = write_report(rows, tmp_path, title="t", provenance={}, options=FAST, impossible=reason)
    assert "- No `shuffled_speaker`: the list has one speaker only." in report.markdown_path.read_text(encoding="utf-8")


def test_a_report_is_refused_without_any_score(tmp_path):
    with pytest.raises(ConfigurationError, match="beside nothing"):
        write_report([], tmp_path, title="t", provenance={})


def test_a_report_is_refused_for_systems_scored_by_different_models(make_row, tmp_path):
    rows = [*(make_row(name) for name in CONTROLS), make_row("model", asr_model="large")]
    with pytest.raises(ConfigurationError, match="different models"):
        write_report(rows, tmp_path, title="t", provenance={})


def test_a_report_is_refused_for_two_evaluations_at_once(make_row, tmp_path):
    rows = [*(make_row(name) for name in CONTROLS), make_row("model", evaluation="e2")]
    with pytest.raises(ConfigurationError, match="one evaluation"):
        write_report(rows, tmp_path, title="t", provenance={})


@pytest.fixture(scope="module")
def report(make_evaluation, make_row, tmp_path_factory):
    """A report of two models beside both controls, with one missing output and a second normaliser."""
    rows = make_evaluation({"good": (0.05, 0.6), "bad": (0.5, 0.2), **CONTROLS}, num_utterances=10)
    codec = [row for row in rows if row.system == "codec"]
    rows += [dataclasses.replace(row, system="twin") for row in codec]
    lost = next(row for row in rows if row.system == "bad")
    rows[rows.index(lost)] = dataclasses.replace(
        lost, hypothesis="", word_errors=lost.num_words, path=None, duration=None, sim_o=0.0
    )
    rows += [make_row(system, normaliser="f5/1", hypothesis="one two three for") for system in CONTROLS]
    directory = tmp_path_factory.mktemp("report")
    return write_report(rows, directory, title="First", provenance={"git": "abc1234"}, options=FAST)


def line_of(report, start):
    text = report.markdown_path.read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_report_lists_controls_before_models(report):
    text = report.markdown_path.read_text(encoding="utf-8")
    places = [text.index(f"| `{name}` |") for name in (*CONTROLS, "bad", "good")]
    assert places == sorted(places)
    assert "abc1234" in text


def test_a_report_gives_every_rate_with_its_interval(report):
    line = line_of(report, "| `good` |")
    assert len(re.findall(r"\d+\.\d+ \[\d+\.\d+, \d+\.\d+\]", line)) == 7


def test_a_report_shows_the_plots_it_draws(report):
    text = report.markdown_path.read_text(encoding="utf-8")
    assert len(report.plots) == 3
    for plot in report.plots:
        assert plot.path.read_bytes().startswith(PNG)
        assert f"({plot.path.relative_to(report.markdown_path.parent).as_posix()})" in text


def test_a_report_has_the_better_of_two_models_and_ties(report):
    line = line_of(report, "| `bad` - `good` |")
    assert line.count("worse") == 2
    assert "| 0.00 |" in line
    assert line_of(report, "| `twin` - `codec` |").count("tie") == 2


def test_a_report_shows_other_normalisers_in_a_table_of_their_own(report):
    assert line_of(report, "| WER % micro |") == "| WER % micro | f5/1 | zip-ls/1 |"
    assert line_of(report, "Without `valle-en`, ").count("`") >= 8
    assert line_of(report, "| `codec` | 25.00 |").startswith("| `codec` | 25.00 | ")


def test_a_report_lists_missing_speech_among_the_worst(report):
    text = report.markdown_path.read_text(encoding="utf-8")
    assert re.search(r"(\d+) errors in \1 words, SIM-o 0.000, missing", text)


def test_a_report_that_did_not_change_is_not_written_again(make_evaluation, tmp_path):
    rows = make_evaluation(CONTROLS, num_speakers=2)

    def times():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}

    asked = []

    def sections():
        asked.append(1)
        return [section("From the lake", ["what"], [["something"]])]

    def write(scores, provenance, lake="1"):
        made = {"sections": sections, "sections_key": lake}
        write_report(scores, tmp_path, title="t", provenance=provenance, options=FAST, **made)
        return times()

    first = write(rows, {"git": "a"})
    assert len(first) == 5
    assert write(rows, {"git": "a"}) == first
    assert len(asked) == 1
    assert "## From the lake" in (tmp_path / "report.md").read_text(encoding="utf-8")
    second = write(rows, {"git": "a"}, lake="2")
    assert len(asked) == 2
    assert all(second[path] > first[path] for path in first)
    (tmp_path / "plots" / "wer.png").unlink()
    changed = [dataclasses.replace(row, sim_o=0.1) for row in rows]
    third = write(changed, {"git": "b"}, lake="2")
    assert all(third[path] > second[path] for path in first)


def test_an_alignment_puts_words_and_marks_in_columns(make_row):
    row = make_row(
        reference="after early nightfall the yellow lamps here", hypothesis="after nightfall the yellow a lambs here"
    )
    lines = format_alignment(row).splitlines()
    assert lines[:2] == [
        "ref after early nightfall the yellow * lamps here",
        "hyp after *     nightfall the yellow a lambs here",
    ] or lines[:2] == [
        "ref after early nightfall the yellow lamps *     here",
        "hyp after *     nightfall the yellow a     lambs here",
    ]
    assert lines[2].split() in (["D", "I", "S"], ["D", "S", "I"])
    assert lines[2].index("D") == lines[0].index("early")


def test_a_long_alignment_is_broken_into_lines(make_row):
    row = make_row(reference="word " * 60, hypothesis="word " * 59)
    assert all(len(line) <= 64 for line in format_alignment(row, width=60).splitlines())


def test_measures_that_were_taken_are_columns_of_both_forms(make_row, tmp_path):
    rows = [
        dataclasses.replace(make_row(name), dnsmos_ovrl=3.25, quality_model="dnsmos@1") for name in ("model", *CONTROLS)
    ]
    report = write_report(rows, tmp_path, title="t", provenance={}, options=FAST)
    header = line_of(report, "| system |").split(" | ")
    assert line_of(report, "| `model` |").split(" | ")[header.index("DNSMOS")] == "3.25"
    assert "DistillMOS" not in header
    page = report.page_path.read_text(encoding="utf-8")
    assert "DNSMOS: P.835 overall, 1 to 5; missing speech is 1. quality score of dnsmos@1; system model" in page
