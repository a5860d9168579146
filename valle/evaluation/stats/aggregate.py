"""Aggregate score rows per system: every rate with its interval, no row skipped.

Micro rates are errors over words of all utterances together, as in ASR; macro rates are the mean of the rates of the
utterances, as in seed-tts-eval. Both are reported, because they can disagree on the better system.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from valle.evaluation.stats.bootstrap import (
    BootstrapOptions,
    Estimate,
    PairedDifference,
    compare_ratios,
    estimate_mean,
    estimate_ratio,
)
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

Verdict = Literal["better", "tie", "worse"]

Clustering = Literal["speaker", "line"]
"""The unit of resampling: speakers, whose utterances are correlated, or single utterances."""

CATASTROPHIC_RATE = 0.5
"""Word error rate above which an utterance counts as failed."""

TIE_WER = 0.005
"""Difference of micro WER below which two systems tie: less than the spread of training runs."""

TIE_SIM = 0.03
"""Difference of SIM-o below which two systems tie: less than the spread of training runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemScores:
    """Aggregated scores of one system under one protocol and normaliser. Rates are fractions: 0.05 is five percent.

    Missing speech counts: all of its words are errors and its SIM-o is 0. `sim_o` is None where similarity was not
    measured.
    """

    evaluation: str
    protocol: str
    system: str
    checkpoint_id: str | None
    normaliser: str
    asr_model: str
    speaker_model: str
    num_scores: int
    num_missing: int
    num_speakers: int
    num_words: int
    audio_seconds: float
    wer: Estimate
    wer_macro: Estimate
    cer: Estimate
    cer_macro: Estimate
    sentence_error: Estimate
    catastrophic: Estimate
    sim_o: Estimate | None
    real_time_factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Paired differences of system A and system B on the utterances and trials of both.

    `wer` compares micro rates, `wer_macro` macro rates; their verdicts can disagree.
    """

    system_a: str
    system_b: str
    num_pairs: int
    wer: PairedDifference
    wer_macro: PairedDifference
    sim_o: PairedDifference | None

    @property
    def is_wer_tie(self) -> bool:
        """True if the difference is too small, or its interval includes zero."""
        return _is_tie(self.wer, TIE_WER)

    @property
    def is_sim_tie(self) -> bool:
        """True if the difference is too small, its interval includes zero, or nothing was measured."""
        return self.sim_o is None or _is_tie(self.sim_o, TIE_SIM)

    @property
    def wer_verdict(self) -> Verdict:
        """Verdict on system A by micro rates."""
        return "tie" if self.is_wer_tie else ("better" if self.wer.difference < 0 else "worse")

    @property
    def wer_macro_verdict(self) -> Verdict:
        """Verdict on system A by macro rates."""
        if _is_tie(self.wer_macro, TIE_WER):
            return "tie"
        return "better" if self.wer_macro.difference < 0 else "worse"

    @property
    def sim_verdict(self) -> Verdict:
        """Verdict on system A by similarity."""
        if self.sim_o is None or self.is_sim_tie:
            return "tie"
        return "better" if self.sim_o.difference > 0 else "worse"


def _is_tie(difference: PairedDifference, smallest: float) -> bool:
    if difference.low is None or difference.high is None:
        return True
    return abs(difference.difference) < smallest or difference.low <= 0 <= difference.high


def word_error_rate(row: ScoreRow) -> float:
    """Return word errors per word of the reference, which `score` guarantees to have one."""
    return row.word_errors / row.num_words


def worst_first(row: ScoreRow) -> tuple[float, int, str, int]:
    """Return a sort key that lists the highest word error rates first."""
    return (-word_error_rate(row), -row.word_errors, row.utterance, row.trial)


def similarity(row: ScoreRow) -> float | None:
    """Return SIM-o of a row: 0 without speech, None for speech whose similarity was not measured."""
    return 0.0 if row.path is None else row.sim_o


def _similarity_estimate(
    rows: Sequence[ScoreRow], options: BootstrapOptions, clusters: Sequence[str]
) -> Estimate | None:
    # Missing speech has similarity 0 only where the similarity of other speech was measured.
    present = [row for row in rows if row.path is not None]
    if present and all(row.sim_o is None for row in present):
        return None
    measured = [
        (value, name) for row, name in zip(rows, clusters, strict=True) if (value := similarity(row)) is not None
    ]
    return estimate_mean([value for value, _ in measured], clusters=[name for _, name in measured], options=options)


def _real_time_factor(rows: Sequence[ScoreRow]) -> float | None:
    timed = [row for row in rows if row.generation_seconds is not None and row.duration]
    if not timed:
        return None
    return sum(row.generation_seconds or 0 for row in timed) / sum(row.duration or 0 for row in timed)


def _clusters(rows: Sequence[ScoreRow], clustering: Clustering) -> list[str]:
    return [row.speaker if clustering == "speaker" else f"{row.utterance}/{row.trial}" for row in rows]


def _aggregate_system(rows: Sequence[ScoreRow], options: BootstrapOptions, clustering: Clustering) -> SystemScores:
    first = rows[0]
    clusters = _clusters(rows, clustering)

    def mean(value: Callable[[ScoreRow], float]) -> Estimate:
        return estimate_mean([value(row) for row in rows], clusters=clusters, options=options)

    return SystemScores(
        evaluation=first.evaluation,
        protocol=first.protocol,
        system=first.system,
        checkpoint_id=first.checkpoint_id,
        normaliser=first.normaliser,
        asr_model=first.asr_model,
        speaker_model=first.speaker_model,
        num_scores=len(rows),
        num_missing=sum(row.path is None for row in rows),
        num_speakers=len({row.speaker for row in rows}),
        num_words=sum(row.num_words for row in rows),
        audio_seconds=sum(row.duration or 0 for row in rows),
        wer=estimate_ratio(
            [row.word_errors for row in rows], [row.num_words for row in rows], clusters=clusters, options=options
        ),
        wer_macro=mean(word_error_rate),
        cer=estimate_ratio(
            [row.character_errors for row in rows],
            [row.num_characters for row in rows],
            clusters=clusters,
            options=options,
        ),
        cer_macro=mean(lambda row: row.character_errors / row.num_characters),
        sentence_error=mean(lambda row: float(row.word_errors > 0)),
        catastrophic=mean(lambda row: float(word_error_rate(row) > CATASTROPHIC_RATE)),
        sim_o=_similarity_estimate(rows, options, clusters),
        real_time_factor=_real_time_factor(rows),
    )


def _system_key(row: ScoreRow) -> tuple[str, str, str, str]:
    return (row.evaluation, row.protocol, row.normaliser, row.system)


def aggregate(
    rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None, clustering: Clustering = "speaker"
) -> list[SystemScores]:
    """Return one `SystemScores` per evaluation, protocol, normaliser and system, in that order.

    Raise ConfigurationError when one system was scored by two ASR models or two speaker encoders, whose scores must
    not be averaged.
    """
    options = options or BootstrapOptions()
    results = []
    for key, group in groupby(sorted(rows, key=_system_key), key=_system_key):
        members = list(group)
        models = {(row.asr_model, row.speaker_model) for row in members}
        if len(models) > 1:
            raise ConfigurationError(
                f"System {key[3]} of evaluation {key[0]} was scored by {len(models)} different pairs of models; "
                "score it again with one ASR model and one speaker encoder."
            )
        results.append(_aggregate_system(members, options, clustering))
    return results


def _trial_key(row: ScoreRow) -> tuple[str, int]:
    return (row.utterance, row.trial)


def compare(
    rows_a: Sequence[ScoreRow],
    rows_b: Sequence[ScoreRow],
    *,
    options: BootstrapOptions | None = None,
    clustering: Clustering = "speaker",
) -> Comparison:
    """Compare two systems under one protocol and normaliser, paired on utterance and trial.

    A control has a single trial, which is paired with every trial of the other system. Raise ConfigurationError when
    the systems share no utterance or their references differ.
    """
    by_trial = {_trial_key(row): row for row in rows_b}
    # The speech of a control is the same in every trial.
    single = {row.utterance: row for row in rows_b} if len({row.trial for row in rows_b}) == 1 else {}
    pairs = [
        (row, counterpart)
        for row in rows_a
        if (counterpart := by_trial.get(_trial_key(row)) or single.get(row.utterance)) is not None
    ]
    if not pairs:
        raise ConfigurationError("The two systems share no utterance; compare systems of one evaluation.")
    if any(a.reference != b.reference for a, b in pairs):
        raise ConfigurationError("The two systems were scored against different texts; normalise both the same way.")
    clusters = _clusters([a for a, _ in pairs], clustering)
    wer = compare_ratios(
        [a.word_errors for a, _ in pairs],
        [b.word_errors for _, b in pairs],
        [a.num_words for a, _ in pairs],
        clusters=clusters,
        options=options,
    )
    wer_macro = compare_ratios(
        [word_error_rate(a) for a, _ in pairs],
        [word_error_rate(b) for _, b in pairs],
        [1] * len(pairs),
        clusters=clusters,
        options=options,
    )
    similarities = [
        (x, y, name)
        for (a, b), name in zip(pairs, clusters, strict=True)
        if (x := similarity(a)) is not None and (y := similarity(b)) is not None
    ]
    sim = None
    if similarities:
        sim = compare_ratios(
            [x for x, _, _ in similarities],
            [y for _, y, _ in similarities],
            [1] * len(similarities),
            clusters=[name for _, _, name in similarities],
            options=options,
        )
    return Comparison(
        system_a=rows_a[0].system,
        system_b=rows_b[0].system,
        num_pairs=len(pairs),
        wer=wer,
        wer_macro=wer_macro,
        sim_o=sim,
    )
