"""Prepare the table of utterances on the page of an evaluation: texts, errors, measures and players."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from valle.evaluation.report.html import relative_link
from valle.evaluation.stats.aggregate import similarity, word_error_rate, worst_first
from valle.evaluation.systems.base import control_of, system_rank
from valle.text.errors import AlignedWord, align_words
from warehouse.model_rows import ScoreRow

MAX_ROWS = 2_000
"""Limit on the utterances of a page; beyond it those with the most errors of each system are listed."""


@dataclass(frozen=True, slots=True)
class MeasureColumn:
    """A number of an utterance besides its word errors; `model` names what computed it."""

    heading: str
    meaning: str
    decimals: int
    read: Callable[[ScoreRow], float | None]
    model: Callable[[ScoreRow], str] = lambda row: ""


@dataclass(frozen=True, slots=True)
class MeasureCell:
    """A measure of one utterance as printed; `value` is for sorting, `title` the tooltip."""

    text: str
    value: str | None
    title: str


@dataclass(frozen=True, slots=True)
class Variant:
    """Error rate and alignment of one utterance, with the normalisers (labels) under which they are equal."""

    normalisers: Sequence[str]
    rate: str
    value: str
    origin: str
    words: Sequence[AlignedWord]


@dataclass(frozen=True, slots=True)
class UtteranceLine:
    """A line of the table. `link` is None for missing speech, whose reason is `missing`."""

    row: ScoreRow
    link: str | None
    missing: str
    variants: Sequence[Variant]
    cells: Sequence[MeasureCell]


@dataclass(frozen=True, slots=True)
class UtteranceTable:
    """The lines of the table, out of `num_scores`; the first of the normalisers is shown."""

    normaliser: str
    lines: Sequence[UtteranceLine]
    measures: Sequence[MeasureColumn]
    systems: Sequence[str]
    num_scores: int


def utterance_table(
    scores: Sequence[ScoreRow], labels: Sequence[str], directory: Path, *, max_rows: int = MAX_ROWS
) -> UtteranceTable:
    """Prepare the table for a page in `directory`; of the normalisers `labels` the first is shown."""
    rows = _select(scores, labels[0], max_rows)
    by_output: dict[tuple[str, str, int], dict[str, ScoreRow]] = {}
    for row in scores:
        by_output.setdefault((row.system, row.utterance, row.trial), {})[row.normaliser] = row
    measures = _measures(rows)
    return UtteranceTable(
        normaliser=labels[0],
        lines=[
            UtteranceLine(
                row=row,
                link=None if row.path is None else relative_link(Path(row.path), directory),
                missing=f"missing: {row.failure}" if row.failure else "missing",
                variants=_variants(by_output[row.system, row.utterance, row.trial], labels),
                cells=[_cell(measure, row) for measure in measures],
            )
            for row in rows
        ],
        measures=measures,
        systems=list(dict.fromkeys(row.system for row in rows)),
        num_scores=sum(row.normaliser == labels[0] for row in scores),
    )


def _select(scores: Sequence[ScoreRow], label: str, max_rows: int) -> list[ScoreRow]:
    """Return the rows of one normaliser with the most errors of each system, models first."""
    by_system: dict[str, list[ScoreRow]] = {}
    for row in scores:
        if row.normaliser == label:
            by_system.setdefault(row.system, []).append(row)
    # Equal shares, so that a system with many errors does not displace the others.
    max_of_system = max(1, max_rows // max(1, len(by_system)))
    # Models first: the page is opened to look at their errors.
    order = sorted(by_system, key=lambda name: (control_of(name) is not None, system_rank(name)))
    return [row for name in order for row in sorted(by_system[name], key=worst_first)[:max_of_system]]


def _encoder(row: ScoreRow) -> str:
    return f"speaker encoder {row.speaker_model}; prompt {row.prompt or 'none'}"


def _scorer(row: ScoreRow) -> str:
    return row.quality_model or ""


def _phoneme_rate(row: ScoreRow) -> float | None:
    return 100 * row.phoneme_errors / row.num_phonemes if row.phoneme_errors is not None and row.num_phonemes else None


def _measures(rows: Sequence[ScoreRow]) -> list[MeasureColumn]:
    """Return the measures that any of the rows has. SIM-o is first, because it is shown before the players."""
    measures = (
        MeasureColumn("SIM-o", "cosine with the original prompt", 3, similarity, _encoder),
        MeasureColumn("SIM-r", "cosine with the prompt through the codec", 3, lambda row: row.sim_r, _encoder),
        MeasureColumn("PER %", "phoneme errors over phonemes", 1, _phoneme_rate, lambda row: row.phonemizer or ""),
        MeasureColumn("DNSMOS", "P.835 overall, 1 to 5", 2, lambda row: row.dnsmos_ovrl, _scorer),
        MeasureColumn("DistillMOS", "1 to 5", 2, lambda row: row.distillmos, _scorer),
        MeasureColumn("repeated", "longest run of words transcribed too often", 0, lambda row: row.repeated_words),
        MeasureColumn("silence", "seconds of the longest silence", 2, lambda row: row.longest_silence),
        MeasureColumn("seconds", "duration of the speech", 2, lambda row: row.duration),
    )
    return [measure for measure in measures if any(measure.read(row) is not None for row in rows)]


def _cell(measure: MeasureColumn, row: ScoreRow) -> MeasureCell:
    value = measure.read(row)
    return MeasureCell(
        text="-" if value is None else f"{value:.{measure.decimals}f}",
        value=None if value is None else repr(float(value)),
        title="; ".join(text for text in (measure.meaning, measure.model(row)) if text),
    )


def _variants(by_normaliser: Mapping[str, ScoreRow], labels: Sequence[str]) -> list[Variant]:
    """Return rate and alignment under each normaliser; normalisers with equal ones share an element of the page."""
    shared: dict[tuple[float, str, str], list[str]] = {}
    rows = {label: by_normaliser[label] for label in labels if label in by_normaliser}
    for label, row in rows.items():
        shared.setdefault((word_error_rate(row), row.reference, row.hypothesis), []).append(label)
    return [
        Variant(
            normalisers=members,
            rate=f"{100 * rate:.1f}",
            value=repr(100 * rate),
            origin=_origin(rows[members[0]], members),
            words=align_words(reference, hypothesis),
        )
        for (rate, reference, hypothesis), members in shared.items()
    ]


def _origin(row: ScoreRow, labels: Sequence[str]) -> str:
    return (
        f"{row.word_errors} errors in {row.num_words} words under {', '.join(labels)}; ASR {row.asr_model}; "
        f"scored {row.scored_at:%Y-%m-%d %H:%M:%S}"
    )
