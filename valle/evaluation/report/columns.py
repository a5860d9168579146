"""Define the columns of the table of systems, shared by Markdown and HTML: values, meanings and metric models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from valle.evaluation.report.content import SystemLine
from valle.evaluation.stats.aggregate import CATASTROPHIC_RATE, SystemScores
from valle.evaluation.stats.bootstrap import Estimate
from valle.evaluation.stats.provenance import MetricModel

Value = Estimate | float | int | None


Read = Callable[[SystemLine, SystemLine | None], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `read` receives a system and the ground truth; `factor` converts fractions to percent."""

    heading: str
    meaning: str
    model: MetricModel
    read: Read
    factor: float = 1.0
    decimals: int = 2
    is_optional: bool = False
    """Omitted where no system has a value."""

    def number(self, system: SystemLine, truth: SystemLine | None) -> float | None:
        """Return the displayed value, unrounded and without its interval."""
        value = self.read(system, truth)
        plain = value.value if isinstance(value, Estimate) else value
        return None if plain is None else self.factor * plain

    def text(self, system: SystemLine, truth: SystemLine | None) -> str:
        """Return the value as printed, with its interval in brackets if it has one."""
        value = self.read(system, truth)
        if value is None:
            return "-"
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{self.factor * value:.{self.decimals}f}"
        return format_estimate(value, self.factor, self.decimals)


def format_estimate(estimate: Estimate, factor: float, decimals: int) -> str:
    """Format a value and its interval: `7.54 [6.94, 8.25]`."""
    text = f"{factor * estimate.value:.{decimals}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{factor * estimate.low:.{decimals}f}, {factor * estimate.high:.{decimals}f}]"


def _similarity_ratio(system: SystemLine, truth: SystemLine | None) -> float | None:
    similarity, ceiling = system.scores.sim_o, truth.scores.sim_o if truth is not None else None
    if similarity is None or ceiling is None or ceiling.value <= 0:
        return None
    return similarity.value / ceiling.value


def _rate(heading: str, meaning: str, read: Callable[[SystemScores], Value], *, decimals: int = 2) -> Column:
    return Column(
        heading=heading, meaning=meaning, model="asr", read=lambda s, _: read(s.scores), factor=100, decimals=decimals
    )


def _count(heading: str, meaning: str, read: Callable[[SystemScores], int]) -> Column:
    return Column(heading=heading, meaning=meaning, model="none", read=lambda s, _: read(s.scores))


def _measure(
    heading: str, meaning: str, name: str, *, model: MetricModel = "none", factor: float = 1.0, decimals: int = 2
) -> Column:
    return Column(
        heading=heading,
        meaning=meaning,
        model=model,
        read=lambda s, _: s.measures.get(name),
        factor=factor,
        decimals=decimals,
        is_optional=True,
    )


def _percentage(heading: str, meaning: str, name: str, *, model: MetricModel = "none") -> Column:
    return _measure(heading, meaning, name, model=model, factor=100, decimals=1)


def _similarity_columns() -> tuple[Column, ...]:
    return (
        Column(
            heading="SIM-o",
            meaning="mean cosine of the speech and the original prompt; missing speech is 0",
            model="speaker",
            read=lambda s, _: s.scores.sim_o,
            decimals=3,
        ),
        Column(
            heading="SIM-o / ground truth",
            meaning="SIM-o over SIM-o of the recordings: depends least on the speaker encoder",
            model="speaker",
            read=_similarity_ratio,
            decimals=3,
        ),
        _measure(
            "SIM-r", "mean cosine of the speech and the prompt through the codec", "sim_r", model="speaker", decimals=3
        ),
    )


def _defect_columns() -> tuple[Column, ...]:
    return (
        _rate("lines with errors %", "share of utterances with any word error", lambda s: s.sentence_error, decimals=1),
        _rate(
            f"lines above {100 * CATASTROPHIC_RATE:.0f} % WER",
            "share of utterances with a WER above this bound, in %",
            lambda s: s.catastrophic,
            decimals=1,
        ),
        _percentage(
            "duration error %",
            "mean deviation from the duration of the recording; missing speech is 100",
            "duration_error",
        ),
        _percentage(
            "repetition %",
            "share of utterances with a run of two words or more that is transcribed more often than the text has it",
            "repetition",
            model="asr",
        ),
        _percentage(
            "early end %",
            "share of utterances shorter than a tenth of a second per word, or missing",
            "early_end",
        ),
        _percentage(
            "faulty %",
            "share of utterances with a repetition, an early end or no speech",
            "faulty",
            model="asr",
        ),
        _percentage("long silence %", "share of utterances with two seconds of silence or no speech", "long_silence"),
    )


def _size_columns() -> tuple[Column, ...]:
    return (
        _count("missing", "utterances without speech; each counts as all words wrong", lambda s: s.num_missing),
        _count("scores", "utterances times trials", lambda s: s.num_scores),
        _count("speakers", "speakers, by which intervals are clustered", lambda s: s.num_speakers),
        _count("words", "words of all references", lambda s: s.num_words),
        Column(
            heading="hours",
            meaning="duration of the speech",
            model="none",
            read=lambda s, _: s.scores.audio_seconds / 3600,
            decimals=3,
        ),
        Column(
            heading="RTF",
            meaning="wall time over duration: lower is faster",
            model="none",
            read=lambda s, _: s.scores.real_time_factor,
        ),
        _measure("first audio s", "mean wall time until the first playable audio", "first_audio"),
    )


def all_columns() -> tuple[Column, ...]:
    """Return every column, in order."""
    return (
        _rate("WER % micro", "errors over words of all utterances together", lambda s: s.wer),
        _rate("WER % macro", "mean of the word error rates of the utterances", lambda s: s.wer_macro),
        _rate("CER % micro", "errors over characters of all utterances together", lambda s: s.cer),
        *_similarity_columns(),
        _measure("PER % micro", "errors over phonemes of all utterances together", "per", model="asr", factor=100),
        _measure("DNSMOS", "P.835 overall, 1 to 5; missing speech is 1", "dnsmos", model="quality"),
        _measure("DistillMOS", "naturalness, 1 to 5; missing speech is 1", "distillmos", model="quality"),
        *_defect_columns(),
        *_size_columns(),
    )


def columns_for(systems: Sequence[SystemLine]) -> tuple[Column, ...]:
    """Return the columns for a table of these systems."""
    return tuple(
        column
        for column in all_columns()
        if not column.is_optional or any(column.read(system, None) is not None for system in systems)
    )
