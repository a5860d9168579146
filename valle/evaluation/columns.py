"""The columns of the table of systems, once for Markdown and for HTML: what each shows and what judged it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from valle.evaluation.aggregate import CATASTROPHIC_RATE, SystemScores
from valle.evaluation.bootstrap import Estimate

Judge = Literal["asr", "speaker", "none"]
Value = Estimate | float | int | None
Read = Callable[[SystemScores, SystemScores | None], Value]


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

    def number(self, system: SystemScores, truth: SystemScores | None) -> float | None:
        """The value as it is shown, without its interval and unrounded."""
        value = self.read(system, truth)
        plain = value.value if isinstance(value, Estimate) else value
        return None if plain is None else self.factor * plain

    def text(self, system: SystemScores, truth: SystemScores | None) -> str:
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


def _similarity_ratio(system: SystemScores, truth: SystemScores | None) -> float | None:
    if system.sim_o is None or truth is None or truth.sim_o is None or truth.sim_o.value <= 0:
        return None
    return system.sim_o.value / truth.sim_o.value


def _rate(heading: str, meaning: str, read: Callable[[SystemScores], Value], *, decimals: int = 2) -> Column:
    return Column(
        heading=heading, meaning=meaning, judge="asr", read=lambda s, _: read(s), factor=100, decimals=decimals
    )


def _count(heading: str, meaning: str, read: Callable[[SystemScores], int]) -> Column:
    return Column(heading=heading, meaning=meaning, judge="none", read=lambda s, _: read(s))


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
            read=lambda s, _: s.sim_o,
            decimals=3,
        ),
        Column(
            heading="SIM-o / ground truth",
            meaning="SIM-o over the SIM-o of the recordings: what survives a change of the speaker encoder best",
            judge="speaker",
            read=_similarity_ratio,
            decimals=3,
        ),
        _rate("lines with errors %", "share of utterances with any word error", lambda s: s.sentence_error, decimals=1),
        _rate(
            f"lines above {100 * CATASTROPHIC_RATE:.0f} % WER",
            "share of utterances of which most words are wrong, in %",
            lambda s: s.catastrophic,
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
            read=lambda s, _: s.audio_seconds / 3600,
            decimals=3,
        ),
        Column(
            heading="RTF",
            meaning="wall time over duration: lower is faster",
            judge="none",
            read=lambda s, _: s.real_time_factor,
        ),
    )


def columns_for(systems: Sequence[SystemScores]) -> tuple[Column, ...]:
    """The columns for a table of these systems."""
    return tuple(
        column
        for column in all_columns()
        if not column.is_optional or any(column.read(system, None) is not None for system in systems)
    )
