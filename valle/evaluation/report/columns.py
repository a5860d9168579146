"""The columns of the table of systems, once for Markdown and for HTML: what each shows and what judged it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from valle.evaluation.stats.aggregate import CATASTROPHIC_RATE, SystemScores
from valle.evaluation.stats.bootstrap import Estimate

Judge = Literal["asr", "speaker", "quality", "none"]
Value = Estimate | float | int | None


@dataclass(frozen=True, slots=True)
class SystemLine:
    """A line of the table: the scores of a system, and its measures by name (`measures.py`)."""

    scores: SystemScores
    measures: Mapping[str, Estimate]


Read = Callable[[SystemLine, SystemLine | None], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `read` takes a system and the ground truth beside it, `factor` turns fractions into percent."""

    heading: str
    meaning: str
    judge: Judge
    read: Read
    factor: float = 1.0
    decimals: int = 2
    is_optional: bool = False
    """Left out where no system has a value."""

    def number(self, system: SystemLine, truth: SystemLine | None) -> float | None:
        """The value as it is shown, without its interval and unrounded."""
        value = self.read(system, truth)
        plain = value.value if isinstance(value, Estimate) else value
        return None if plain is None else self.factor * plain

    def text(self, system: SystemLine, truth: SystemLine | None) -> str:
        """The value as it is printed, with its interval in brackets if it has one."""
        value = self.read(system, truth)
        if value is None:
            return "-"
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{self.factor * value:.{self.decimals}f}"
        return format_estimate(value, self.factor, self.decimals)


def format_estimate(estimate: Estimate, factor: float, decimals: int) -> str:
    """A value and its interval: `7.54 [6.94, 8.25]`."""
    text = f"{factor * estimate.value:.{decimals}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{factor * estimate.low:.{decimals}f}, {factor * estimate.high:.{decimals}f}]"


def _similarity_ratio(system: SystemLine, truth: SystemLine | None) -> float | None:
    own, best = system.scores.sim_o, truth.scores.sim_o if truth is not None else None
    return own.value / best.value if own is not None and best is not None and best.value > 0 else None


def _rate(heading: str, meaning: str, read: Callable[[SystemScores], Value], *, decimals: int = 2) -> Column:
    return Column(
        heading=heading, meaning=meaning, judge="asr", read=lambda s, _: read(s.scores), factor=100, decimals=decimals
    )


def _count(heading: str, meaning: str, read: Callable[[SystemScores], int]) -> Column:
    return Column(heading=heading, meaning=meaning, judge="none", read=lambda s, _: read(s.scores))


def _measure(
    heading: str, meaning: str, name: str, *, judge: Judge = "none", factor: float = 1.0, decimals: int = 2
) -> Column:
    return Column(
        heading=heading,
        meaning=meaning,
        judge=judge,
        read=lambda s, _: s.measures.get(name),
        factor=factor,
        decimals=decimals,
        is_optional=True,
    )


def all_columns() -> tuple[Column, ...]:
    """Every column, in order."""
    return (
        _rate("WER % micro", "errors over words of all utterances together", lambda s: s.wer),
        _rate("WER % macro", "mean of the word error rates of the utterances", lambda s: s.wer_macro),
        _rate("CER % micro", "errors over characters of all utterances together", lambda s: s.cer),
        Column(
            heading="SIM-o",
            meaning="mean cosine of the speech with the original prompt; missing speech is 0",
            judge="speaker",
            read=lambda s, _: s.scores.sim_o,
            decimals=3,
        ),
        Column(
            heading="SIM-o / ground truth",
            meaning="SIM-o over the SIM-o of the recordings: what survives a change of the speaker encoder best",
            judge="speaker",
            read=_similarity_ratio,
            decimals=3,
        ),
        _measure("SIM-r", "mean cosine with the prompt through the codec", "sim_r", judge="speaker", decimals=3),
        _measure("PER % micro", "errors over phonemes of all utterances together", "per", judge="asr", factor=100),
        _measure("DNSMOS", "P.835 overall, 1 to 5; missing speech is 1", "dnsmos", judge="quality"),
        _measure("DistillMOS", "naturalness, 1 to 5; missing speech is 1", "distillmos", judge="quality"),
        _rate("lines with errors %", "share of utterances with any word error", lambda s: s.sentence_error, decimals=1),
        _rate(
            f"lines above {100 * CATASTROPHIC_RATE:.0f} % WER",
            "share of utterances of which most words are wrong, in %",
            lambda s: s.catastrophic,
            decimals=1,
        ),
        _measure(
            "duration error %",
            "mean deviation from the length of the recording; missing speech is 100",
            "duration_error",
            factor=100,
            decimals=1,
        ),
        _measure(
            "repetition %",
            "share of utterances in which two words or more in a row were heard more often than the text has them",
            "repetition",
            judge="asr",
            factor=100,
            decimals=1,
        ),
        _measure(
            "early end %",
            "share of utterances that are shorter than a tenth of a second per word, or missing",
            "early_end",
            factor=100,
            decimals=1,
        ),
        _measure(
            "faulty %",
            "share of utterances with a repetition, an early end or no speech",
            "faulty",
            judge="asr",
            factor=100,
            decimals=1,
        ),
        _measure(
            "long silence %",
            "share of utterances with two seconds of silence or no speech",
            "long_silence",
            factor=100,
            decimals=1,
        ),
        _count("missing", "utterances without speech; each counts as all words wrong", lambda s: s.num_missing),
        _count("scores", "utterances times trials", lambda s: s.num_scores),
        _count("speakers", "voices, by which intervals are clustered", lambda s: s.num_speakers),
        _count("words", "words of all references", lambda s: s.num_words),
        Column(
            heading="hours",
            meaning="duration of the speech",
            judge="none",
            read=lambda s, _: s.scores.audio_seconds / 3600,
            decimals=3,
        ),
        Column(
            heading="RTF",
            meaning="wall time over duration: lower is faster",
            judge="none",
            read=lambda s, _: s.scores.real_time_factor,
        ),
        _measure("first audio s", "mean wall time until the first audio could be played", "first_audio"),
    )


def columns_for(systems: Sequence[SystemLine]) -> tuple[Column, ...]:
    """The columns for a table of these systems."""
    return tuple(
        column
        for column in all_columns()
        if not column.is_optional or any(column.read(system, None) is not None for system in systems)
    )
