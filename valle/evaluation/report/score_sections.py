"""Write the sections of a report that follow from the scores, from missing speech to normalisers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from valle.backends.speaker import open_speaker_encoder, speaker_encoder_revision
from valle.backends.speaker.base import SpeakerEncoder
from valle.evaluation.metrics.drift import LONG_SECONDS, long_rows
from valle.evaluation.report.breakdown_sections import length_sections, phoneme_pair_sections
from valle.evaluation.report.columns import format_estimate
from valle.evaluation.report.sections import Cell, Section, section
from valle.evaluation.stats.aggregate import TIE_SIM, TIE_WER, Comparison, SystemScores, compare
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.drift import estimate_speaker_drift, estimate_word_drift
from valle.evaluation.systems.base import CODEC, ESPEAK, PROMPT_COPIED, SHUFFLED_SPEAKER, control_of
from valle.text.normalise import normalisers
from warehouse.errors import ConfigurationError, DependencyError
from warehouse.model_rows import ScoreRow

RowsBySystem = Mapping[str, Sequence[ScoreRow]]

_WITHOUT_OWN_TEXT = (SHUFFLED_SPEAKER, PROMPT_COPIED)


def score_sections(
    rows_by_system: RowsBySystem,
    *,
    options: BootstrapOptions,
    open_encoder: Callable[[str], SpeakerEncoder] = open_speaker_encoder,
) -> list[Section]:
    """Return the sections on the rows of one normaliser."""
    of_own_text = {name: rows for name, rows in rows_by_system.items() if name not in _WITHOUT_OWN_TEXT}
    all_rows = [row for rows in rows_by_system.values() for row in rows]
    return [
        *missing_speech_sections(rows_by_system),
        *_difference_sections(rows_by_system, options),
        *length_sections(of_own_text, options),
        *phoneme_pair_sections(rows_by_system),
        word_drift_section(of_own_text, options),
        *speaker_drift_sections(all_rows, open_encoder=open_encoder, options=options),
    ]


def missing_speech_sections(rows_by_system: RowsBySystem) -> list[Section]:
    """Count missing speech by system and reason; no section when nothing is missing."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for system, rows in rows_by_system.items():
        for row in rows:
            if row.path is None:
                key = (system, row.failure or "no reason was recorded")
                counts[key] += 1
                examples.setdefault(key, row.utterance)
    if not counts:
        return []
    table: list[tuple[Cell, ...]] = [
        (f"`{system}`", reason, count, f"`{examples[system, reason]}`")
        for (system, reason), count in counts.most_common()
    ]
    return [
        Section(
            heading="Missing speech",
            intro="Utterances without speech count as all words wrong and SIM-o 0.",
            header=("system", "reason", "utterances", "example"),
            rows=tuple(table),
            numeric=(False, False, True, False),
        )
    ]


def _difference_sections(rows_by_system: RowsBySystem, options: BootstrapOptions) -> list[Section]:
    """Compare every model with the codec, with espeak-ng and with the other models."""
    models = [name for name in rows_by_system if control_of(name) is None]
    pairs = [(model, control) for model in models for control in (CODEC, ESPEAK) if control in rows_by_system]
    pairs += [(a, b) for index, a in enumerate(models) for b in models[index + 1 :]]
    if not pairs:
        return []
    results = [compare(rows_by_system[a], rows_by_system[b], options=options) for a, b in pairs]
    header = ("A - B", "pairs", "WER difference (points)", "P(A has fewer errors)", "WER", "SIM-o difference", "SIM-o")
    rule = (
        f"Paired on the same utterances. A difference below {100 * TIE_WER:.1f} points of WER or {TIE_SIM} of SIM-o, "
        "or one whose interval includes zero, is a tie."
    )
    return [
        Section(
            heading="Differences",
            header=header,
            rows=tuple(tuple(_comparison_row(result)) for result in results),
            numeric=(False, True, True, True, False, True, False),
            note=rule,
        )
    ]


def _comparison_row(comparison: Comparison) -> list[Cell]:
    wer, sim = comparison.wer, comparison.sim_o
    low, high = (None if bound is None else 100 * bound for bound in (wer.low, wer.high))
    cells: list[Cell] = [
        f"`{comparison.system_a}` - `{comparison.system_b}`",
        comparison.num_pairs,
        f"{100 * wer.difference:+.2f} [{_signed(low, 2)}, {_signed(high, 2)}]",
        f"{wer.probability:.2f}",
        comparison.wer_verdict,
    ]
    if sim is None:
        return [*cells, "-", "-"]
    return [*cells, f"{sim.difference:+.3f} [{_signed(sim.low, 3)}, {_signed(sim.high, 3)}]", comparison.sim_verdict]


def _signed(value: float | None, decimals: int) -> str:
    return "?" if value is None else f"{value:+.{decimals}f}"


def word_drift_section(rows_by_system: RowsBySystem, options: BootstrapOptions) -> Section:
    """Report word errors by quarter of the text, a line per system."""
    rows: list[list[Cell]] = []
    for system, scores in rows_by_system.items():
        drift = estimate_word_drift(scores, options=options)
        cells = ["-" if quarter is None else format_estimate(quarter, 100, 2) for quarter in drift.quarters]
        ratio = "-" if drift.ratio is None else f"{drift.ratio:.2f}"
        rows.append([f"`{system}`", *cells, ratio, drift.num_long])
    return section(
        "Drift",
        ["WER %", "first quarter", "second", "third", "last quarter", "last / first", f"over {LONG_SECONDS:.0f} s"],
        rows,
        intro="Word errors by quarter of the text: speech that degrades has more towards its end.",
    )


def speaker_drift_sections(
    rows: Sequence[ScoreRow],
    *,
    open_encoder: Callable[[str], SpeakerEncoder] = open_speaker_encoder,
    options: BootstrapOptions | None = None,
) -> list[Section]:
    """Report SIM-o by quarter of long speech, if there is any, and only with the encoder of the scores."""
    if not long_rows(rows):
        return []
    heading, model = "Speaker drift", rows[0].speaker_model
    try:
        name = model.partition("@")[0]
        revision = speaker_encoder_revision(name)
        # Cosines of two encoders, or of two revisions of one, are not comparable.
        if revision != model:
            return [section(heading, intro=f"Not measured: the scores are of `{model}`, installed is `{revision}`.")]
        drifts = estimate_speaker_drift(rows, open_encoder(name), options=options)
    except (ConfigurationError, DependencyError) as error:
        return [section(heading, intro=f"Not measured: {error}")]
    table: list[list[Cell]] = []
    for drift in drifts:
        change = drift.quarters[-1].value - drift.quarters[0].value
        cells = [format_estimate(quarter, 1, 3) for quarter in drift.quarters]
        table.append([f"`{drift.system}`", *cells, f"{change:+.3f}", drift.num_scores])
    header = ["SIM-o", "first quarter", "second", "third", "last quarter", "last - first", "lines"]
    intro = f"Speaker similarity by quarter of the duration, of speech over {LONG_SECONDS:.0f} s."
    return [section(heading, header, table, intro=intro)]


def normaliser_sections(systems: Sequence[SystemScores], names: Sequence[str]) -> list[Section]:
    """Report WER under every normaliser; no section when there is only one."""
    labels = sorted({system.normaliser for system in systems})
    if len(labels) < 2:
        return []
    scores = {(system.system, system.normaliser): system for system in systems}
    rows = [
        [
            f"`{name}`",
            *(format_estimate(scores[name, label].wer, 100, 2) if (name, label) in scores else "-" for label in labels),
        ]
        for name in names
    ]
    absent = [f"`{each.name}`" for each in normalisers().values() if each.label not in labels]
    note = f"Without {', '.join(absent)}: not installed, not for this language, or no word of a text is left."
    return [
        section("The same speech under other normalisers", ["WER % micro", *labels], rows, note=note if absent else "")
    ]
