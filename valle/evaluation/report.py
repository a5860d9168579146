"""A report of one evaluation: what was scored, how well, how sure, and what went wrong; Markdown and three plots."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from valle.evaluation.aggregate import (
    CATASTROPHIC_RATE,
    TIE_SIM,
    TIE_WER,
    Comparison,
    SystemScores,
    aggregate,
    compare,
)
from valle.evaluation.bootstrap import BootstrapOptions, Estimate
from valle.evaluation.plots import plot_errors_against_similarity, plot_similarities, plot_word_errors
from valle.evaluation.worst import describe_worst
from valle.statistics.report import Plot, Report, markdown_rows, write_text
from warehouse.errors import ConfigurationError
from warehouse.rows import ScoreRow

GROUND_TRUTH = "ground_truth"
CODEC = "codec"
SHUFFLED_SPEAKER = "shuffled_speaker"
PROMPT_COPIED = "prompt_copied"

_CONTROLS: dict[str, str] = {
    GROUND_TRUTH: "the recordings themselves: the floor of WER under this ASR, the ceiling of SIM-o",
    CODEC: "the recordings through the codec and back: the best a model of its codes can sound",
    SHUFFLED_SPEAKER: "the recordings against the prompt of another speaker: what SIM-o is by chance",
    PROMPT_COPIED: "the prompt given back as the speech: WER near 100 %, SIM-o near 1",
}
"""Systems that are no model, in the order of the table, and what each of them shows."""

_SILENT_CONTROLS = (SHUFFLED_SPEAKER, PROMPT_COPIED)
"""Controls whose words nobody wants to read: the recordings' once more, and the prompt's."""


def _system_rank(name: str) -> tuple[int, str]:
    """Controls first, in their order; `codec_vocos` stands with `codec`."""
    for place, control in enumerate(_CONTROLS):
        if name == control or name.startswith(f"{control}_"):
            return (place, name)
    return (len(_CONTROLS), name)


def _require_controls(systems: Sequence[str]) -> None:
    missing = [name for name in (GROUND_TRUTH, CODEC) if name not in systems]
    if missing:
        raise ConfigurationError(
            f"A report needs scores of {' and '.join(missing)} beside {', '.join(sorted(systems)) or 'nothing'}, "
            "because WER and SIM-o mean nothing without them; score them too."
        )


def _percent(estimate: Estimate, decimals: int = 2) -> str:
    return _with_interval(estimate, 100, decimals)


def _with_interval(estimate: Estimate | None, factor: float, decimals: int) -> str:
    if estimate is None:
        return "-"
    text = f"{factor * estimate.value:.{decimals}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{factor * estimate.low:.{decimals}f}, {factor * estimate.high:.{decimals}f}]"


def _ratio(system: SystemScores, anchor: SystemScores | None) -> str:
    if system.sim_o is None or anchor is None or anchor.sim_o is None or anchor.sim_o.value <= 0:
        return "-"
    return f"{system.sim_o.value / anchor.sim_o.value:.3f}"


def _systems_table(systems: Sequence[SystemScores]) -> str:
    truth = next((system for system in systems if system.system == GROUND_TRUTH), None)
    header = [
        "system",
        "WER % micro",
        "WER % macro",
        "CER % micro",
        "SIM-o",
        "SIM-o / ground truth",
        "lines with errors %",
    ]
    header += [
        f"lines above {100 * CATASTROPHIC_RATE:.0f} % WER",
        "missing",
        "scores",
        "speakers",
        "words",
        "hours",
        "RTF",
    ]
    rows = []
    for system in systems:
        rows.append(
            [
                f"`{system.system}`",
                _percent(system.wer),
                _percent(system.wer_macro),
                _percent(system.cer),
                _with_interval(system.sim_o, 1, 3),
                _ratio(system, truth),
                _percent(system.sentence_error, 1),
                _percent(system.catastrophic, 1),
                system.num_missing,
                system.num_scores,
                system.num_speakers,
                system.num_words,
                f"{system.audio_seconds / 3600:.3f}",
                "-" if system.real_time_factor is None else f"{system.real_time_factor:.2f}",
            ]
        )
    return markdown_rows(header, rows, numeric=[False] + [True] * (len(header) - 1))


def _signed(value: float | None, decimals: int) -> str:
    return "?" if value is None else f"{value:+.{decimals}f}"


def _comparison_row(comparison: Comparison) -> list[str | int]:
    wer, sim = comparison.wer, comparison.sim_o
    interval = [None if bound is None else 100 * bound for bound in (wer.low, wer.high)]
    cells: list[str | int] = [
        f"`{comparison.system_a}` - `{comparison.system_b}`",
        comparison.num_pairs,
        f"{100 * wer.difference:+.2f} [{_signed(interval[0], 2)}, {_signed(interval[1], 2)}]",
        f"{wer.probability:.2f}",
        "tie" if comparison.is_wer_tie else ("better" if wer.difference < 0 else "worse"),
    ]
    if sim is None:
        return [*cells, "-", "-"]
    verdict = "tie" if comparison.is_sim_tie else ("better" if sim.difference > 0 else "worse")
    return [*cells, f"{sim.difference:+.3f} [{_signed(sim.low, 3)}, {_signed(sim.high, 3)}]", verdict]


def _comparisons(rows_by_system: Mapping[str, Sequence[ScoreRow]], options: BootstrapOptions | None) -> str:
    """Every model against the codec and against the other models, paired."""
    models = [name for name in rows_by_system if _system_rank(name)[0] == len(_CONTROLS)]
    pairs = [(model, CODEC) for model in models]
    pairs += [(a, b) for place, a in enumerate(models) for b in models[place + 1 :]]
    if not pairs:
        return ""
    results = [compare(rows_by_system[a], rows_by_system[b], options=options) for a, b in pairs]
    header = ["A - B", "pairs", "WER difference (points)", "P(A has fewer errors)", "WER", "SIM-o difference", "SIM-o"]
    table = markdown_rows(
        header, [_comparison_row(result) for result in results], numeric=[False, True, True, True, False, True, False]
    )
    rule = (
        f"Paired on the same utterances. A difference below {100 * TIE_WER:.1f} points of WER or {TIE_SIM} of SIM-o, "
        "or one whose interval holds zero, is called a tie."
    )
    return f"## Differences\n\n{table}\n\n{rule}"


def _explanations(systems: Sequence[str]) -> str:
    known = [f"- `{name}`: {why}." for name, why in _CONTROLS.items() if name in systems]
    absent = [name for name in _CONTROLS if name not in systems]
    if absent:
        known.append(f"- Not scored here: {', '.join(f'`{name}`' for name in absent)}.")
    return "\n".join(known)


def _method(system: SystemScores, options: BootstrapOptions) -> str:
    return (
        f"Protocol `{system.protocol}`; text normaliser `{system.normaliser}`; ASR `{system.asr_model}`; "
        f"speaker encoder `{system.speaker_model}`. "
        f"In brackets: {100 * options.level:.0f} % intervals, bootstrap over speakers, "
        f"{options.replicas:,} replicas, seed {options.seed}. Missing speech counts as all words wrong and SIM-o 0. "
        "RTF is wall time over duration: lower is faster."
    )


def _provenance(provenance: Mapping[str, str]) -> str:
    rows = [[name, f"`{value}`"] for name, value in provenance.items()]
    return "## Provenance\n\n" + markdown_rows(["what", "value"], rows, numeric=[False, False])


def _by_normaliser(systems: Sequence[SystemScores], names: Sequence[str]) -> str:
    normalisers = sorted({system.normaliser for system in systems})
    if len(normalisers) < 2:
        return ""
    cells = {(system.system, system.normaliser): system for system in systems}
    rows = [
        [f"`{name}`", *(_percent(cells[name, n].wer) if (name, n) in cells else "-" for n in normalisers)]
        for name in names
    ]
    table = markdown_rows(["WER % micro", *normalisers], rows, numeric=[False] + [True] * len(normalisers))
    return f"## The same speech under other normalisers\n\n{table}"


def write_report(
    scores: Sequence[ScoreRow],
    directory: Path,
    *,
    title: str,
    provenance: Mapping[str, str],
    normaliser: str | None = None,
    options: BootstrapOptions | None = None,
) -> Report:
    """Write `report.md` and its `plots/` of one evaluation under one protocol into `directory`.

    The tables and plots are of `normaliser` (a label as score rows carry it; by default that of the first row); if
    there are rows of others, their WER stands in a table of its own. `provenance` is printed as it is: name to value.
    Raises ConfigurationError when the scores of `ground_truth` or `codec` are missing, or when the rows belong to
    more than one evaluation or protocol, or were judged by different models.
    """
    systems = {row.system for row in scores}
    _require_controls(sorted(systems))
    settings = sorted({(row.evaluation, row.protocol) for row in scores})
    if len(settings) > 1:
        raise ConfigurationError(f"A report is of one evaluation and protocol, not of {settings}; write one for each.")
    judges = sorted({(row.asr_model, row.speaker_model) for row in scores})
    if len(judges) > 1:
        raise ConfigurationError(
            f"The systems were judged by different models, {judges}, so that their scores cannot stand in one table; "
            "score all of them with one ASR model and one speaker encoder."
        )
    used = options or BootstrapOptions()
    chosen = normaliser or scores[0].normaliser
    rows = sorted((row for row in scores if row.normaliser == chosen), key=lambda row: _system_rank(row.system))
    rows_by_system = {name: list(group) for name, group in groupby(rows, key=lambda row: row.system)}
    _require_controls(list(rows_by_system))
    everything = aggregate(scores, options=used)
    ranked = sorted(
        (system for system in everything if system.normaliser == chosen), key=lambda s: _system_rank(s.system)
    )
    plots = _draw(ranked, rows_by_system, directory / "plots")
    shown = [f"![{plot.caption}]({plot.path.relative_to(directory).as_posix()})\n\n{plot.caption}" for plot in plots]
    parts = [
        f"# {title}",
        _method(ranked[0], used),
        _systems_table(ranked),
        _explanations(list(rows_by_system)),
        _comparisons(rows_by_system, used),
        "## Plots",
        *shown,
        _by_normaliser(everything, list(rows_by_system)),
        describe_worst({name: rows_by_system[name] for name in rows_by_system if name not in _SILENT_CONTROLS}),
        _provenance(provenance),
    ]
    path = directory / "report.md"
    write_text(path, "\n\n".join(part for part in parts if part) + "\n")
    return Report(path, plots)


def _draw(
    systems: Sequence[SystemScores], rows_by_system: Mapping[str, Sequence[ScoreRow]], directory: Path
) -> tuple[Plot, ...]:
    return (
        Plot(
            plot_word_errors(systems, directory / "wer.png"), "Word errors of each system, with intervals by speaker."
        ),
        Plot(
            plot_similarities(rows_by_system, directory / "similarity.png"),
            "Speaker similarity to the prompt: further right is closer.",
        ),
        Plot(
            plot_errors_against_similarity(rows_by_system, directory / "wer_similarity.png"),
            "Each utterance: the right voice is to the right, the right words are at the bottom.",
        ),
    )
