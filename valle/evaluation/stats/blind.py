"""Preference and CMOS of a blind test, with intervals that resample the speakers of the prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_mean
from warehouse.listener_rows import BlindAnswerRow


@dataclass(frozen=True, slots=True)
class BlindResult:
    """Answers about two systems: `cmos` is the mean rating of B over A, `preference` the share that prefers B.

    Answers without a preference count half for each. Intervals are over the speakers of the prompts: they tell what
    other sentences would give with the same listeners, not what other listeners would answer.
    """

    system_a: str
    system_b: str
    num_answers: int
    num_listeners: int
    cmos: Estimate
    preference: Estimate


def summarize_answers(rows: Sequence[BlindAnswerRow], *, options: BootstrapOptions | None = None) -> list[BlindResult]:
    """Return a result for each pair of systems, in order of their names."""
    pairs: dict[tuple[str, str], list[BlindAnswerRow]] = {}
    for row in rows:
        pairs.setdefault((row.system_a, row.system_b), []).append(row)
    return [_result(*pair, answers, options) for pair, answers in sorted(pairs.items())]


def _result(
    system_a: str, system_b: str, answers: Sequence[BlindAnswerRow], options: BootstrapOptions | None
) -> BlindResult:
    speakers = [row.speaker for row in answers]
    preferred = [0.5 if row.rating == 0 else float(row.rating > 0) for row in answers]
    return BlindResult(
        system_a,
        system_b,
        len(answers),
        len({row.listener for row in answers}),
        estimate_mean([row.rating for row in answers], clusters=speakers, options=options),
        estimate_mean(preferred, clusters=speakers, options=options),
    )
