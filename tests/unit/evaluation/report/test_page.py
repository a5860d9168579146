import dataclasses
import re
from urllib.parse import unquote

import pytest

from tests.unit.evaluation.report.page_reader import read_page
from valle.evaluation.report.content import ReportContent, SystemLine
from valle.evaluation.report.html import render
from valle.evaluation.report.page import write_page
from valle.evaluation.report.report import write_report
from valle.evaluation.report.sections import section
from valle.evaluation.report.utterance_table import utterance_table
from valle.evaluation.stats.aggregate import aggregate
from valle.evaluation.stats.bootstrap import BootstrapOptions

FAST = BootstrapOptions(replicas=300)
CONTROLS = {
    "ground_truth": (0.02, 0.74),
    "codec": (0.04, 0.68),
    "shuffled_speaker": (0.02, 0.3),
    "prompt_copied": (0.9, 0.99),
    "espeak": (0.03, 0.25),
}
ATTACK = "<script>alert('x')</script>"


def write_table(rows, directory):
    """Write the table of utterances alone as a page."""
    table = utterance_table(rows, [rows[0].normaliser], directory)
    (directory / "page.html").write_text(render("utterances.html", table=table), encoding="utf-8")


@pytest.fixture(scope="module")
def rows(make_evaluation, tmp_path_factory):
    """An evaluation whose speech lies on disk, under a name that an address cannot hold as it is; two normalisers."""
    folder = tmp_path_factory.mktemp("data") / "speech 100%#1"
    rows = []
    for row in make_evaluation({"model": (0.3, 0.5), **CONTROLS}, num_speakers=3, num_utterances=3):
        path = folder / row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
        rows.append(dataclasses.replace(row, path=str(path)))
    attacked = dataclasses.replace(rows[0], hypothesis=f'{ATTACK} & "more"', word_errors=rows[0].num_words)
    lost = dataclasses.replace(rows[1], hypothesis="", word_errors=rows[1].num_words, path=None, sim_o=0.0)
    rows[:2] = [attacked, lost]
    lenient = [
        dataclasses.replace(row, normaliser="f5/1", hypothesis=row.reference, word_errors=0, character_errors=0)
        for row in rows
    ]
    return rows + lenient


@pytest.fixture(scope="module")
def report(rows, tmp_path_factory):
    return write_report(
        rows, tmp_path_factory.mktemp("reports"), title=f"Of {ATTACK}", provenance={"git": "abc<1>"}, options=FAST
    )


@pytest.fixture(scope="module")
def page(report):
    return read_page(report.page_path)


def test_the_page_lies_beside_the_markdown_and_asks_no_other_host(report):
    text = report.page_path.read_text(encoding="utf-8")
    assert report.page_path.parent == report.markdown_path.parent
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)


@pytest.mark.parametrize("normaliser", ["zip-ls/1", "f5/1"])
def test_the_table_of_systems_holds_the_numbers_of_aggregate_rescore(page, rows, normaliser):
    table = page.by_id("table", "systems")
    (body,) = [b for b in table.all("tbody") if b.attributes["data-normaliser"] == normaliser]
    heads = [head.text for head in table.all("thead")[0].all("th")]
    expected = aggregate([row for row in rows if row.normaliser == normaliser], options=FAST)
    assert {line.attributes["data-system"] for line in body.all("tr")} == {system.system for system in expected}
    for system in expected:
        (line,) = [tr for tr in body.all("tr") if tr.attributes["data-system"] == system.system]
        cells = dict(zip(heads[1:], line.all("td"), strict=True))
        assert float(cells["WER % micro"].attributes["data-value"]) == 100 * system.wer.value
        assert float(cells["WER % macro"].attributes["data-value"]) == 100 * system.wer_macro.value
        assert float(cells["SIM-o"].attributes["data-value"]) == system.sim_o.value
        assert cells["WER % micro"].text.startswith(f"{100 * system.wer.value:.2f} [")
        assert cells["missing"].text == str(system.num_missing)


def test_only_the_chosen_normaliser_is_shown_until_another_is_chosen(page):
    bodies = page.by_id("table", "systems").all("tbody")
    assert [("hidden" in body.attributes, body.attributes["data-normaliser"]) for body in bodies] == [
        (False, "zip-ls/1"),
        (True, "f5/1"),
    ]
    choices = page.by_id("select", "normaliser").all("option")
    assert [option.attributes["value"] for option in choices] == ["zip-ls/1", "f5/1"]
    assert "selected" in choices[0].attributes
    variants = [e for e in page.by_id("table", "utterances").all("div") if "data-normalisers" in e.attributes]
    assert {v.attributes["data-normalisers"]: "hidden" in v.attributes for v in variants} == {
        "zip-ls/1": False,
        "f5/1": True,
        "zip-ls/1 f5/1": False,
    }


def test_no_transcription_becomes_markup(page, report):
    scripts = page.all("script")
    assert len(scripts) == 1
    assert "alert" not in scripts[0].text
    table = page.by_id("table", "utterances")
    assert ATTACK in table.text and '"more"' in table.text
    assert "<script>alert" not in report.page_path.read_text(encoding="utf-8")
    assert page.all("title")[0].text == f"Of {ATTACK}"


def test_every_player_leads_to_a_file_that_exists(page, report, rows):
    players = page.all("audio")
    spoken = [row for row in rows if row.path and row.normaliser == "zip-ls/1"]
    assert len(players) == len(spoken)
    for player in players:
        address = player.attributes["src"]
        assert not address.startswith("/")
        assert (report.page_path.parent / unquote(address)).read_bytes() == b"RIFF"
        assert player.attributes["preload"] == "none"
        assert player.attributes["aria-label"]


def test_missing_speech_has_a_reason_and_no_player(page):
    lines = page.by_id("table", "utterances").all("tbody")[0].all("tr")
    (missing,) = [line for line in lines if not line.all("audio")]
    assert "missing" in [cell.text for cell in missing.all("td")]


def test_measures_that_were_taken_have_a_column_and_others_none(make_row, tmp_path):
    taken = dataclasses.replace(
        make_row(), dnsmos_ovrl=3.25, quality_model="dnsmos@1", phoneme_errors=1, num_phonemes=8
    )
    failed = dataclasses.replace(make_row(utterance="u1", path=None, sim_o=None), failure="out of <memory>")
    write_table([taken, failed], tmp_path)
    table = read_page(tmp_path / "page.html").by_id("table", "utterances")
    heads = [head.text for head in table.all("thead")[0].all("th")]
    lines = [dict(zip(heads, line.all("td"), strict=True)) for line in table.all("tbody")[0].all("tr")]
    assert [line["DNSMOS"].text for line in lines] == ["3.25", "-"]
    assert lines[0]["DNSMOS"].attributes["title"] == "P.835 overall, 1 to 5; dnsmos@1"
    assert lines[0]["PER %"].attributes["data-value"] == "12.5"
    assert lines[1]["speech"].text == "missing: out of <memory>"
    assert not {"DistillMOS", "SIM-r", "silence"} & set(heads)


def test_the_errors_of_an_utterance_are_marked_by_their_kind(make_row, tmp_path):
    row = make_row(
        reference="one two three four five six seven", hypothesis="one too three five six seven eight", path=None
    )
    write_table([row], tmp_path)
    (texts,) = read_page(tmp_path / "page.html").by_id("table", "utterances").all("div")
    assert " ".join(texts.text.split()) == "one twotoo three four five six seven eight"
    assert [(e.attributes["class"], e.text) for e in texts.children if not isinstance(e, str)] == [
        ("substitution", "twotoo"),
        ("deletion", "four"),
        ("insertion", "eight"),
    ]
    assert [child.name for child in texts.all("span")[0].children] == ["del", "ins"]


def test_every_number_of_a_system_has_its_origin(page, rows):
    row = rows[0]
    lines = page.by_id("table", "systems").all("tbody")[0].all("tr")
    (line,) = [tr for tr in lines if tr.attributes["data-system"] == "model"]
    titles = [cell.attributes["title"] for cell in line.all("td")]
    assert all(row.evaluation in title and "9 items" in title for title in titles)
    assert row.asr_model in titles[0] and row.normaliser in titles[0]
    assert row.speaker_model in titles[3]
    summaries = [summary.text for summary in page.all("summary")]
    assert summaries == [*CONTROLS, "model"]


def test_headers_can_be_reached_by_keyboard_and_pictures_have_a_text(page):
    assert all(head.all("button") for table in page.all("table") for head in table.all("thead")[0].all("th"))
    assert len(page.all("img")) == 3
    assert all(image.attributes["alt"] for image in page.all("img"))
    assert page.all("html")[0].attributes["lang"] == "en"


def test_a_long_evaluation_lists_its_worst_utterances_and_their_number(rows, tmp_path):
    chosen = [row for row in rows if row.normaliser == "zip-ls/1"]
    content = ReportContent(
        title="t",
        method="m",
        systems=[SystemLine(scores, {}) for scores in aggregate(chosen, options=FAST)],
        scores=chosen,
        normaliser="zip-ls/1",
        sections=[section("Other `names`", ["what", "count"], [["`a`", 3]], note="A note.")],
        provenance={},
    )
    page = read_page(write_page(content, tmp_path, max_rows=12))
    table = page.by_id("table", "utterances")
    lines = table.all("tbody")[0].all("tr")
    assert len(lines) == 12
    assert lines[0].attributes["data-system"] == "model"
    rates = [float(line.all("span")[0].attributes["data-value"]) for line in lines[:2]]
    worst = sorted((row.word_errors / row.num_words for row in chosen if row.system == "model"), reverse=True)
    assert rates == [100 * rate for rate in worst[:2]]
    assert f"Of {len(chosen)} scores the 12 with the most errors of each system are listed." in page.text
    assert "Other names" in [heading.text for heading in page.all("h2")]
