"""A report of one evaluation: what was scored, how well, how sure, and what went wrong; Markdown, a page and plots."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from valle.evaluation.metrics.drift import drift_section
from valle.evaluation.metrics.measures import estimate_measures
from valle.evaluation.metrics.rescore import under_every_normaliser
from valle.evaluation.metrics.voice_drift import voice_drift_sections
from valle.evaluation.report.columns import SystemLine, columns_for, format_estimate
from valle.evaluation.report.page import PageContent, page_key, write_page
from valle.evaluation.report.sections import Cell, Section, section, section_markdown
from valle.evaluation.report.worst import describe_worst
from valle.evaluation.stats.aggregate import (
    TIE_SIM,
    TIE_WER,
    Comparison,
    SystemScores,
    aggregate,
    compare,
)
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.systems.controls import (
    CODEC,
    ESPEAK,
    GROUND_TRUTH,
    MEANINGS,
    PROMPT_COPIED,
    SHUFFLED_SPEAKER,
    control_of,
    system_rank,
)
from valle.reporting import Plot, Report, markdown_rows, write_text
from valle.text.normalise import normalisers as registered
from warehouse.errors import ConfigurationError
from warehouse.rows import ScoreRow

_SILENT_CONTROLS = (SHUFFLED_SPEAKER, PROMPT_COPIED)
"""Controls whose words nobody wants to read: the recordings' once more, and the prompt's."""


def write_report(
    scores: Sequence[ScoreRow],
    directory: Path,
    *,
    title: str,
    provenance: Mapping[str, str],
    normaliser: str | None = None,
    options: BootstrapOptions | None = None,
    sections: Callable[[], Sequence[Section]] = tuple,
    sections_key: str = "",
    impossible: Mapping[str, str] | None = None,
) -> Report:
    """Write `report.md`, `report.html` and their `plots/` of one evaluation under one protocol into `directory`.

    The tables and plots are of `normaliser` (a label as score rows carry it; by default that of the first row). WER
    under every other one (given, or counted again from the raw texts) stands in a table of its own, and the page can
    be switched to them.
    `provenance` is printed as it is: name to value; `sections` makes what only the lake knows, which stands below the
    differences. A report that was made before from the same content and with the same `sections_key` is left as it
    is, and `sections` is not asked.
    `impossible` names controls that the list cannot have, with the reason, which is printed.
    Raises ConfigurationError when the scores of any other control are missing, or when the rows belong to more than
    one evaluation or protocol, or were judged by different models.
    """
    reasons = dict(impossible or {})
    _require_controls(sorted({row.system for row in scores}), reasons)
    _require_one_setting(scores)
    used = options or BootstrapOptions()
    plots = _plots(directory / "plots")
    report = Report(directory / "report.md", plots, directory / "report.html")
    key = _content_key(scores, [title, provenance, normaliser, used, sections_key, reasons])
    if _is_written(report, key):
        return report
    chosen = normaliser or scores[0].normaliser
    rows = sorted((row for row in scores if row.normaliser == chosen), key=lambda row: system_rank(row.system))
    rows_by_system = {name: list(group) for name, group in groupby(rows, key=lambda row: row.system)}
    _require_controls(list(rows_by_system), reasons)
    told_apart = under_every_normaliser(scores)
    everything = sorted(aggregate(told_apart, options=used), key=lambda system: system_rank(system.system))
    ranked = [system for system in everything if system.normaliser == chosen]
    measures = {name: estimate_measures(members, options=used) for name, members in rows_by_system.items()}
    # What is no matter of words is the same under every normaliser.
    lines = [SystemLine(system, measures.get(system.system, {})) for system in everything]
    # Matplotlib takes seconds, and a report that did not change draws nothing.
    from valle.evaluation.report.plots import plot_errors_against_similarity, plot_similarities, plot_word_errors

    plot_word_errors(ranked, plots[0].path)
    plot_similarities(rows_by_system, plots[1].path)
    plot_errors_against_similarity(rows_by_system, plots[2].path)
    heard = [name for name in rows_by_system if name not in _SILENT_CONTROLS]
    told = [
        *_differences(rows_by_system, used),
        drift_section({name: rows_by_system[name] for name in heard}, used),
        *voice_drift_sections(rows, options=used),
        *sections(),
        *_by_normaliser(everything, list(rows_by_system)),
    ]
    method, explanations = _method(ranked[0], used), _explanations(list(rows_by_system), reasons)
    shown = [f"![{plot.caption}]({plot.path.relative_to(directory).as_posix()})\n\n{plot.caption}" for plot in plots]
    parts = [
        f"# {title}",
        "The same with every utterance, to sort and to listen to: [report.html](report.html).",
        method,
        _systems_table([line for line in lines if line.scores.normaliser == chosen]),
        explanations,
        *(section_markdown(each) for each in told),
        "## Plots",
        *shown,
        describe_worst({name: rows_by_system[name] for name in heard}),
        _provenance(provenance),
    ]
    write_text(report.markdown_path, "\n\n".join(part for part in parts if part) + "\n")
    # The page carries the key, and is the last to be written.
    write_page(
        PageContent(
            title=title,
            method=method,
            systems=lines,
            scores=told_apart,
            normaliser=chosen,
            explanations=explanations,
            sections=told,
            plots=plots,
            provenance=provenance,
            key=key,
        ),
        directory,
    )
    return report


def _require_one_setting(scores: Sequence[ScoreRow]) -> None:
    settings = sorted({(row.evaluation, row.protocol) for row in scores})
    if len(settings) > 1:
        raise ConfigurationError(f"A report is of one evaluation and protocol, not of {settings}; write one for each.")
    judges = sorted({(row.asr_model, row.speaker_model) for row in scores})
    if len(judges) > 1:
        raise ConfigurationError(
            f"The systems were judged by different models, {judges}, so that their scores cannot stand in one table; "
            "score all of them with one ASR model and one speaker encoder."
        )


def _require_controls(systems: Sequence[str], reasons: Mapping[str, str]) -> None:
    missing = [name for name in MEANINGS if name not in systems and name not in reasons]
    if missing:
        raise ConfigurationError(
            f"A report needs scores of {' and '.join(missing)} beside {', '.join(sorted(systems)) or 'nothing'}, "
            "because WER and SIM-o mean nothing without them; score them too."
        )


def _systems_table(lines: Sequence[SystemLine]) -> str:
    truth = next((line for line in lines if line.scores.system == GROUND_TRUTH), None)
    columns = columns_for(lines)
    header = ["system", *(column.heading for column in columns)]
    rows = [[f"`{line.scores.system}`", *(column.text(line, truth) for column in columns)] for line in lines]
    return markdown_rows(header, rows, numeric=[False] + [True] * len(columns))


def _signed(value: float | None, decimals: int) -> str:
    return "?" if value is None else f"{value:+.{decimals}f}"


def _comparison_row(comparison: Comparison) -> list[Cell]:
    wer, sim = comparison.wer, comparison.sim_o
    interval = [None if bound is None else 100 * bound for bound in (wer.low, wer.high)]
    cells: list[Cell] = [
        f"`{comparison.system_a}` - `{comparison.system_b}`",
        comparison.num_pairs,
        f"{100 * wer.difference:+.2f} [{_signed(interval[0], 2)}, {_signed(interval[1], 2)}]",
        f"{wer.probability:.2f}",
        comparison.wer_verdict,
    ]
    if sim is None:
        return [*cells, "-", "-"]
    return [*cells, f"{sim.difference:+.3f} [{_signed(sim.low, 3)}, {_signed(sim.high, 3)}]", comparison.sim_verdict]


def _differences(rows_by_system: Mapping[str, Sequence[ScoreRow]], options: BootstrapOptions) -> list[Section]:
    """Every model against the codec, against espeak-ng and against the other models, paired."""
    models = [name for name in rows_by_system if control_of(name) is None]
    pairs = [(model, control) for model in models for control in (CODEC, ESPEAK) if control in rows_by_system]
    pairs += [(a, b) for place, a in enumerate(models) for b in models[place + 1 :]]
    if not pairs:
        return []
    results = [compare(rows_by_system[a], rows_by_system[b], options=options) for a, b in pairs]
    header = ["A - B", "pairs", "WER difference (points)", "P(A has fewer errors)", "WER", "SIM-o difference", "SIM-o"]
    rule = (
        f"Paired on the same utterances. A difference below {100 * TIE_WER:.1f} points of WER or {TIE_SIM} of SIM-o, "
        "or one whose interval holds zero, is called a tie."
    )
    return [
        Section(
            heading="Differences",
            header=tuple(header),
            rows=tuple(tuple(_comparison_row(result)) for result in results),
            numeric=(False, True, True, True, False, True, False),
            note=rule,
        )
    ]


def _explanations(systems: Sequence[str], reasons: Mapping[str, str]) -> str:
    known = [f"- `{name}`: {why}." for name, why in MEANINGS.items() if name in systems]
    return "\n".join([*known, *(f"- No `{name}`: {reason}." for name, reason in reasons.items())])


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


def _by_normaliser(systems: Sequence[SystemScores], names: Sequence[str]) -> list[Section]:
    normalisers = sorted({system.normaliser for system in systems})
    if len(normalisers) < 2:
        return []
    cells = {(system.system, system.normaliser): system for system in systems}
    rows = [
        [
            f"`{name}`",
            *(format_estimate(cells[name, n].wer, 100, 2) if (name, n) in cells else "-" for n in normalisers),
        ]
        for name in names
    ]
    absent = [f"`{each.name}`" for each in registered().values() if each.label not in normalisers]
    note = f"Without {', '.join(absent)}: not installed, not for this language, or it leaves no word of a text."
    return [
        section(
            "The same speech under other normalisers",
            ["WER % micro", *normalisers],
            rows,
            note=note if absent else "",
        )
    ]


def _plots(directory: Path) -> tuple[Plot, Plot, Plot]:
    return (
        Plot(directory / "wer.png", "Word errors of each system, with intervals by speaker."),
        Plot(directory / "similarity.png", "Speaker similarity to the prompt: further right is closer."),
        Plot(
            directory / "wer_similarity.png",
            "Each utterance: the right voice is to the right, the right words are at the bottom.",
        ),
    )


def _content_key(scores: Sequence[ScoreRow], settings: Sequence[object]) -> str:
    """Hash of everything that a report is made from, the code of this package included."""
    code = [
        entry.read_bytes()
        for entry in sorted(Path(str(files("valle.evaluation"))).rglob("*"))
        if entry.suffix in (".py", ".css", ".js")
    ]
    content = hashlib.blake2b(digest_size=16)
    for part in (*code, *(repr(row).encode() for row in scores), *(repr(setting).encode() for setting in settings)):
        content.update(part)
        content.update(b"\0")
    return content.hexdigest()


def _is_written(report: Report, key: str) -> bool:
    made = [report.markdown_path, *(plot.path for plot in report.plots)]
    return all(path.exists() for path in made) and report.page_path is not None and page_key(report.page_path) == key
