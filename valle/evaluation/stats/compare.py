"""Compare two systems of the lake, and state the result in a sentence.

The systems may belong to two evaluations (an earlier and a later checkpoint). Any other difference would appear as a
difference between the systems, so a comparison across ASR models, speaker encoders, normalisers or lists of items is
an error that names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from valle.evaluation.metrics.rescore import rescore
from valle.evaluation.stats.aggregate import TIE_SIM, TIE_WER, Comparison, SystemScores, Verdict, aggregate
from valle.evaluation.stats.aggregate import compare as compare_rows
from valle.evaluation.stats.bootstrap import BootstrapOptions, PairedDifference
from valle.evaluation.stats.provenance import ScoreProvenance, provenance_of
from valle.evaluation.systems.base import control_of
from valle.text.normalise import get_normaliser
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import from_table
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow


@dataclass(frozen=True, slots=True)
class SystemName:
    """A system of one evaluation, written `EVALUATION:SYSTEM`."""

    evaluation: str
    system: str

    def __str__(self) -> str:
        return f"{self.evaluation}:{self.system}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComparison:
    """Scores of two stored systems, their paired difference, and the result in one sentence."""

    a: SystemScores
    b: SystemScores
    origin_a: ScoreProvenance
    origin_b: ScoreProvenance
    paired: Comparison
    num_speakers: int
    sentence: str


def compare_stored(
    a: str, b: str, lake: Lake, *, normaliser: str | None = None, options: BootstrapOptions | None = None
) -> StoredComparison:
    """Compare two systems of the lake, paired on utterance and trial, clustered by speaker.

    Each is named `EVALUATION:SYSTEM`, or by the evaluation alone when it has one model, or by the system alone when
    it is in one evaluation. `normaliser` is a name; by default one under which both are stored. Raise
    ConfigurationError when a name matches nothing or several systems, and when the two cannot be compared.
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
    """Return the system of a name, see `compare_stored`."""
    # A full name first, since a system may be called like an evaluation.
    exact = [each for each in known if str(each) == name]
    of_evaluation = [each for each in known if each.evaluation == name and control_of(each.system) is None]
    of_system = [each for each in known if each.system == name]
    for found in (exact, of_evaluation, of_system):
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(f"{name!r} matches {_listed(found)}; name one of them.")
    advice = f"it has {_listed(known)}" if known else "it has no scores at all, run `valle evaluate`"
    raise ConfigurationError(f"The lake has no scores of {name!r}; {advice}.")


def _listed(names: Sequence[SystemName], most: int = 20) -> str:
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _under_one_normaliser(
    rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], normaliser: str | None
) -> tuple[list[ScoreRow], list[ScoreRow]]:
    if normaliser is not None:
        label = get_normaliser(normaliser).label
        rows_a, rows_b = rescore(rows_a), rescore(rows_b)
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
    """Compare the scores of two systems under the same normaliser.

    Raise ConfigurationError that names all differences when metric models or items differ.
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


def _require_same_terms(
    rows_a: Sequence[ScoreRow], rows_b: Sequence[ScoreRow], a: ScoreProvenance, b: ScoreProvenance
) -> None:
    terms: tuple[tuple[str, Callable[[ScoreProvenance], str]], ...] = (
        ("ASR model", lambda origin: origin.asr_model),
        ("speaker encoder", lambda origin: origin.speaker_model),
        ("normaliser", lambda origin: origin.normaliser),
        ("protocol", lambda origin: origin.protocol),
        ("list of items", lambda origin: f"{origin.num_items} with hash {origin.items}"),
    )
    differences = [f"{name} ({read(a)} and {read(b)})" for name, read in terms if read(a) != read(b)]
    trials_a, trials_b = ({row.trial for row in rows} for rows in (rows_a, rows_b))
    if trials_a != trials_b and min(len(trials_a), len(trials_b)) > 1:
        differences.append(f"number of trials ({len(trials_a)} and {len(trials_b)})")
    if differences:
        raise ConfigurationError(
            f"{a.system} and {b.system} cannot be compared, they differ in {', '.join(differences)}; "
            "evaluate both with the same."
        )


def _sentence(a: SystemScores, b: SystemScores, paired: Comparison, num_speakers: int) -> str:
    """State the verdict with its numbers and the normaliser of its WER."""
    # Two evaluations may have a system of the same name.
    names = (a.system, b.system) if a.system != b.system else (_full(a), _full(b))
    words = {
        "better": f"{names[0]} makes fewer word errors than {names[1]}",
        "worse": f"{names[0]} makes more word errors than {names[1]}",
        "tie": f"{names[0]} and {names[1]} tie in word errors",
    }[paired.wer_verdict]
    rates = f"{100 * a.wer.value:.2f} % against {100 * b.wer.value:.2f} % micro WER under {a.normaliser}"
    text = f"{words}: {rates} ({_describe(paired.wer, paired.wer_verdict, TIE_WER, 100, 2, ' points')}"
    text += f", probability of improvement {paired.wer.probability:.2f})"
    if paired.wer_macro_verdict != paired.wer_verdict:
        text += f", though by macro WER it is {paired.wer_macro_verdict}"
    if paired.sim_o is None or a.sim_o is None or b.sim_o is None:
        text += "; speaker similarity was not measured"
    else:
        similarity = {
            "better": f"{names[0]} is more similar to the prompt",
            "worse": f"{names[0]} is less similar to the prompt",
            "tie": "they tie in similarity to the prompt",
        }[paired.sim_verdict]
        text += f"; {similarity}: SIM-o {a.sim_o.value:.3f} against {b.sim_o.value:.3f} "
        text += f"({_describe(paired.sim_o, paired.sim_verdict, TIE_SIM, 1, 3, '')})"
    return f"{text}; {paired.num_pairs:,} pairs of {num_speakers} speakers."


def _full(system: SystemScores) -> str:
    return f"{system.evaluation}:{system.system}"


def _describe(
    paired: PairedDifference, verdict: Verdict, smallest: float, factor: float, decimals: int, unit: str
) -> str:
    """Describe a difference, its interval, and the reason of a tie."""
    text = f"{factor * paired.difference:+.{decimals}f}{unit}"
    if paired.low is None or paired.high is None:
        return f"{text}, a single speaker gives no interval"
    text += f", 95 % interval {factor * paired.low:+.{decimals}f} to {factor * paired.high:+.{decimals}f}"
    if verdict != "tie":
        return text
    if paired.low <= 0 <= paired.high:
        return f"{text}, which includes zero"
    return f"{text}, below {factor * smallest:g}{unit}"
