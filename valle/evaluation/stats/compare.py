"""Two systems of the lake against each other: refused unless the same judges heard the same sentences, then in words.

Systems may come from two evaluations (yesterday's checkpoint and today's). Whatever was not the same for both would
show up as a difference between the systems, so that a comparison across ASR models, speaker encoders, normalisers or
lists of items is an error, which names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from valle.evaluation.metrics.rescore import under_every_normaliser
from valle.evaluation.report.provenance import Provenance, provenance_of
from valle.evaluation.stats.aggregate import TIE_SIM, TIE_WER, Comparison, SystemScores, Verdict, aggregate
from valle.evaluation.stats.aggregate import compare as compare_rows
from valle.evaluation.stats.bootstrap import BootstrapOptions, PairedDifference
from valle.evaluation.systems.controls import control_of
from valle.text.normalise import get_normaliser
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import from_table
from warehouse.lake.tables import Lake
from warehouse.rows import ScoreRow


@dataclass(frozen=True, slots=True)
class SystemName:
    """A system of one evaluation, written `EVALUATION:SYSTEM`."""

    evaluation: str
    system: str

    def __str__(self) -> str:
        return f"{self.evaluation}:{self.system}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComparison:
    """Two stored systems, how each did, the paired difference, and what that says in one sentence."""

    a: SystemScores
    b: SystemScores
    origin_a: Provenance
    origin_b: Provenance
    paired: Comparison
    num_speakers: int
    sentence: str


def compare_stored(
    a: str, b: str, lake: Lake, *, normaliser: str | None = None, options: BootstrapOptions | None = None
) -> StoredComparison:
    """Compare two systems of the lake, paired on utterance and trial, clustered by speaker.

    Each is named `EVALUATION:SYSTEM`, or by the evaluation alone when it has one model, or by the system alone when
    one evaluation has it. `normaliser` is a name; by default one under which both are stored.
    Raises ConfigurationError when a name fits nothing or too much, and when the two cannot be compared.
    """
    with connect(lake.snapshot()) as connection:
        table = run_query(connection, "SELECT DISTINCT evaluation, system FROM scores ORDER BY ALL")
        known = [SystemName(row["evaluation"], row["system"]) for row in table.to_pylist()]
        sides = []
        for name in (find_system(a, known), find_system(b, known)):
            rows = run_query(
                connection,
                "SELECT * FROM scores WHERE evaluation = ? AND system = ? ORDER BY score_id",
                [name.evaluation, name.system],
            )
            sides.append(list(from_table(ScoreRow, rows)))
    return compare_systems(*_under_one_normaliser(sides[0], sides[1], normaliser), options=options)


def find_system(name: str, known: Sequence[SystemName]) -> SystemName:
    """The system that a name means, see `compare_stored`."""
    exact = [each for each in known if str(each) == name]
    of_evaluation = [each for each in known if each.evaluation == name and control_of(each.system) is None]
    of_system = [each for each in known if each.system == name]
    for found in (exact, of_evaluation, of_system):
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(f"{name!r} may be any of {_listed(found)}; write one of them.")
    what = f"there is {_listed(known)}" if known else "nothing has been scored yet, run `valle evaluate`"
    raise ConfigurationError(f"The lake has no scores of {name!r}; {what}.")


def _listed(names: Sequence[SystemName], most: int = 20) -> str:
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _under_one_normaliser(
    rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], normaliser: str | None
) -> tuple[list[ScoreRow], list[ScoreRow]]:
    if normaliser is not None:
        label = get_normaliser(normaliser).label
        rows_a, rows_b = under_every_normaliser(rows_a), under_every_normaliser(rows_b)
        labels = [label]
    else:
        labels = [row.normaliser for row in rows_a]
    stored = [dict.fromkeys(row.normaliser for row in rows) for rows in (rows_a, rows_b)]
    label = next((label for label in labels if label in stored[0] and label in stored[1]), "")
    if not label:
        raise ConfigurationError(
            f"The texts were normalised by {', '.join(stored[0])} and by {', '.join(stored[1])}, which cannot be "
            "compared; choose a --normaliser under which both are stored, or evaluate both again."
        )
    return [row for row in rows_a if row.normaliser == label], [row for row in rows_b if row.normaliser == label]


def compare_systems(
    rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], *, options: BootstrapOptions | None = None
) -> StoredComparison:
    """Compare the scores of two systems, each under the same normaliser.

    Raises ConfigurationError, naming all that differs, when they had other judges or other items.
    """
    origin_a, origin_b = provenance_of(rows_a), provenance_of(rows_b)
    _require_same_terms(rows_a, rows_b, origin_a, origin_b)
    paired = compare_rows(rows_a, rows_b, options=options)
    (a,), (b,) = aggregate(rows_a, options=options), aggregate(rows_b, options=options)
    num_speakers = len({row.speaker for row in rows_a})
    return StoredComparison(
        a=a,
        b=b,
        origin_a=origin_a,
        origin_b=origin_b,
        paired=paired,
        num_speakers=num_speakers,
        sentence=_sentence(a, b, paired, num_speakers),
    )


def _require_same_terms(rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], a: Provenance, b: Provenance) -> None:
    terms: tuple[tuple[str, Callable[[Provenance], str]], ...] = (
        ("ASR model", lambda origin: origin.asr_model),
        ("speaker encoder", lambda origin: origin.speaker_model),
        ("normaliser", lambda origin: origin.normaliser),
        ("protocol", lambda origin: origin.protocol),
        ("list of items", lambda origin: f"{origin.num_items} with hash {origin.items}"),
    )
    different = [f"{what} ({read(a)} and {read(b)})" for what, read in terms if read(a) != read(b)]
    trials_a, trials_b = ({row.trial for row in rows} for rows in (rows_a, rows_b))
    if trials_a != trials_b and min(len(trials_a), len(trials_b)) > 1:
        different.append(f"number of trials ({len(trials_a)} and {len(trials_b)})")
    if different:
        raise ConfigurationError(
            f"{a.system} and {b.system} cannot be compared, they differ in {', '.join(different)}; "
            "evaluate both with the same."
        )


def _sentence(a: SystemScores, b: SystemScores, paired: Comparison, num_speakers: int) -> str:
    """The verdict in words, for somebody who reads nothing else."""
    names = (a.system, b.system) if a.system != b.system else (_full(a), _full(b))
    words = {
        "better": f"{names[0]} makes fewer word errors than {names[1]}",
        "worse": f"{names[0]} makes more word errors than {names[1]}",
        "tie": f"{names[0]} and {names[1]} tie in word errors",
    }[paired.wer_verdict]
    rates = f"{100 * a.wer.value:.2f} % against {100 * b.wer.value:.2f} % micro WER"
    text = f"{words}: {rates} ({_told(paired.wer, paired.wer_verdict, TIE_WER, 100, 2, ' points')}"
    text += f", probability of improvement {paired.wer.probability:.2f})"
    if paired.wer_macro_verdict != paired.wer_verdict:
        text += f", though their macro WER says {paired.wer_macro_verdict}"
    if paired.sim_o is None or a.sim_o is None or b.sim_o is None:
        text += "; voices were not measured"
    else:
        voices = {
            "better": f"the voice of {names[0]} is closer to the prompt",
            "worse": f"the voice of {names[0]} is further from the prompt",
            "tie": "they tie in closeness to the prompt",
        }[paired.sim_verdict]
        text += f"; {voices}: SIM-o {a.sim_o.value:.3f} against {b.sim_o.value:.3f} "
        text += f"({_told(paired.sim_o, paired.sim_verdict, TIE_SIM, 1, 3, '')})"
    return f"{text}; {paired.num_pairs:,} pairs of {num_speakers} speakers."


def _full(system: SystemScores) -> str:
    return f"{system.evaluation}:{system.system}"


def _told(paired: PairedDifference, verdict: Verdict, smallest: float, factor: float, decimals: int, unit: str) -> str:
    """A difference, its interval, and why it is a tie if it is one."""
    text = f"{factor * paired.difference:+.{decimals}f}{unit}"
    if paired.low is None or paired.high is None:
        return f"{text}, one speaker gives no interval"
    text += f", 95 % interval {factor * paired.low:+.{decimals}f} to {factor * paired.high:+.{decimals}f}"
    if verdict != "tie":
        return text
    if paired.low <= 0 <= paired.high:
        return f"{text}, which holds zero"
    return f"{text}, below {factor * smallest:g}{unit}"
