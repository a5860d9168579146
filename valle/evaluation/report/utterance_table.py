"""The table of utterances on the page of an evaluation: what should be heard and what was, with players."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from valle.evaluation.report.markup import alignment_html, header_cell, options_html, relative_link, scrollable, tag
from valle.evaluation.stats.aggregate import similarity, word_error_rate, worst_first
from valle.evaluation.systems.controls import control_of, system_rank
from warehouse.rows import ScoreRow

MOST_ROWS = 2_000
"""Utterances that a page lists; of more, those with the most errors of each system."""


def _listed(scores: Sequence[ScoreRow], label: str, most_rows: int) -> list[ScoreRow]:
    """The rows of one normaliser that the page lists: of each system those with the most errors, models first."""
    by_system: dict[str, list[ScoreRow]] = {}
    for row in scores:
        if row.normaliser == label:
            by_system.setdefault(row.system, []).append(row)
    share = max(1, most_rows // max(1, len(by_system)))
    order = sorted(by_system, key=lambda name: (control_of(name) is not None, system_rank(name)))
    return [row for name in order for row in sorted(by_system[name], key=worst_first)[:share]]


_BEFORE_SPEECH = 1
"""Measures that stand before the player and the texts, which are what most readers look for."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """A number of an utterance beside its word errors; `judge` says who measured it."""

    heading: str
    meaning: str
    decimals: int
    read: Callable[[ScoreRow], float | None]
    judge: Callable[[ScoreRow], str] = lambda row: ""

    def cell(self, row: ScoreRow) -> str:
        value = self.read(row)
        return tag(
            "td",
            "-" if value is None else f"{value:.{self.decimals}f}",
            class_="number",
            data_value=None if value is None else repr(float(value)),
            title="; ".join(part for part in (self.meaning, self.judge(row)) if part),
        )


def _voice(row: ScoreRow) -> str:
    return f"speaker encoder {row.speaker_model}; prompt {row.prompt or 'none'}"


def _naturalness(row: ScoreRow) -> str:
    return row.quality_model or ""


def _measures(rows: Sequence[ScoreRow]) -> list[_Measure]:
    """The measures that any of the rows has."""
    known = (
        _Measure("SIM-o", "cosine with the original prompt", 3, similarity, _voice),
        _Measure("SIM-r", "cosine with the prompt through the codec", 3, lambda row: row.sim_r, _voice),
        _Measure("PER %", "phoneme errors over phonemes", 1, _phoneme_rate, lambda row: row.phonemizer or ""),
        _Measure("DNSMOS", "P.835 overall, 1 to 5", 2, lambda row: row.dnsmos_ovrl, _naturalness),
        _Measure("DistillMOS", "1 to 5", 2, lambda row: row.distillmos, _naturalness),
        _Measure("repeated", "longest run of words heard too often", 0, lambda row: row.repeated_words),
        _Measure("silence", "seconds of the longest silence", 2, lambda row: row.longest_silence),
        _Measure("seconds", "duration of the speech", 2, lambda row: row.duration),
    )
    return [measure for measure in known if any(measure.read(row) is not None for row in rows)]


def _phoneme_rate(row: ScoreRow) -> float | None:
    return 100 * row.phoneme_errors / row.num_phonemes if row.phoneme_errors is not None and row.num_phonemes else None


def _head(measures: Sequence[_Measure]) -> str:
    numbers = [header_cell(each.heading, numeric=True, meaning=each.meaning) for each in measures]
    cells = [
        header_cell("system", numeric=False),
        header_cell("utterance", numeric=False, meaning="a click shows only this utterance, by every system"),
        header_cell("WER %", numeric=True, meaning="word errors over words of this utterance"),
        *numbers[:_BEFORE_SPEECH],
        header_cell("speech", numeric=False),
        header_cell("what should be heard, with what was heard", numeric=False),
        *numbers[_BEFORE_SPEECH:],
        header_cell("speaker", numeric=False),
        header_cell("trial", numeric=True, meaning="which of the seeds"),
    ]
    return tag("thead", tag("tr", "".join(cells)))


def utterance_table(
    scores: Sequence[ScoreRow], labels: Sequence[str], directory: Path, *, most_rows: int = MOST_ROWS
) -> str:
    """The section as HTML, for a page in `directory`; of the normalisers `labels` the first is shown."""
    rows = _listed(scores, labels[0], most_rows)
    variants: dict[tuple[str, str, int], dict[str, ScoreRow]] = {}
    for row in scores:
        variants.setdefault((row.system, row.utterance, row.trial), {})[row.normaliser] = row
    measures = _measures(rows)
    lines = [_line(row, variants[row.system, row.utterance, row.trial], labels, measures, directory) for row in rows]
    table = tag(
        "table",
        _head(measures) + tag("tbody", "\n".join(lines)),
        class_="sortable",
        id="utterances",
    )
    total = sum(row.normaliser == labels[0] for row in scores)
    left_out = f" Of {total:,} scores the {len(rows):,} with the most errors of each system are listed."
    legend = (
        "In the texts: "
        + tag("span", tag("del", "said") + tag("ins", "heard"), class_="substitution")
        + " replaced, "
        + tag("del", "left out", class_="deletion")
        + ", "
        + tag("ins", "added", class_="insertion")
        + "."
    )
    body = [
        tag("h2", "Utterances"),
        _filters(list(dict.fromkeys(row.system for row in rows))),
        tag("p", legend + left_out * (total > len(rows))),
        scrollable(table, "Utterances"),
        tag("p", tag("button", "Show more", type="button", id="more", hidden="hidden")),
    ]
    return tag("section", "\n".join(body))


def _filters(systems: Sequence[str]) -> str:
    choices = {"": "all"} | {name: name for name in systems}
    fields = [
        tag("label", "System " + tag("select", options_html(choices, ""), id="system-filter")),
        tag("label", 'Contains <input type="search" id="text-filter">'),
        tag("output", "", id="shown", for_="system-filter text-filter"),
    ]
    return tag("p", " ".join(fields), class_="choice")


def _line(
    row: ScoreRow,
    variants: Mapping[str, ScoreRow],
    labels: Sequence[str],
    measures: Sequence[_Measure],
    directory: Path,
) -> str:
    rates, texts = _variants(variants, labels)
    numbers = [measure.cell(row) for measure in measures]
    cells = [
        tag("td", tag("code", escape(row.system))),
        tag("td", tag("button", escape(row.utterance), type="button", class_="utterance")),
        tag("td", rates, class_="number"),
        *numbers[:_BEFORE_SPEECH],
        tag("td", _player(row, directory)),
        tag("td", texts, class_="texts"),
        *numbers[_BEFORE_SPEECH:],
        tag("td", escape(row.speaker)),
        tag("td", str(row.trial), class_="number", data_value=str(row.trial)),
    ]
    return tag("tr", "".join(cells), data_system=row.system)


def _player(row: ScoreRow, directory: Path) -> str:
    if row.path is None:
        return f"missing: {escape(row.failure)}" if row.failure else "missing"
    link = relative_link(Path(row.path), directory)
    label = f"{row.system}, {row.utterance}, trial {row.trial}"
    return tag("audio", "", src=link, controls="controls", preload="none", aria_label=label)


def _variants(variants: Mapping[str, ScoreRow], labels: Sequence[str]) -> tuple[str, str]:
    """Rate and marked texts under each normaliser; those under which they are equal share one element."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for label in labels:
        row = variants.get(label)
        if row is None:
            continue
        rate = 100 * word_error_rate(row)
        counted = f"{row.word_errors} errors in {row.num_words} words"
        origin = f"{counted}; ASR {row.asr_model}; scored {row.scored_at:%Y-%m-%d %H:%M:%S}"
        shown = tag("span", f"{rate:.1f}", title=origin)
        grouped.setdefault((repr(rate), shown, alignment_html(row.reference, row.hypothesis)), []).append(label)
    rates, texts = [], []
    for (value, shown, marked), names in grouped.items():
        attributes = {"data_normalisers": " ".join(names), "hidden": None if labels[0] in names else "hidden"}
        rates.append(tag("span", shown, data_value=value, **attributes))
        texts.append(tag("div", marked, **attributes))
    return "".join(rates), "".join(texts)
