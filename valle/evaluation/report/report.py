"""Write the report of one evaluation: Markdown, an HTML page and plots."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from valle.evaluation.metrics.rescore import rescore
from valle.evaluation.report.content import ReportContent, SystemLine
from valle.evaluation.report.markdown import report_markdown
from valle.evaluation.report.page import page_key, write_page
from valle.evaluation.report.score_sections import RowsBySystem, normaliser_sections, score_sections
from valle.evaluation.report.sections import Section
from valle.evaluation.stats.aggregate import SystemScores, aggregate
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.measures import estimate_measures
from valle.evaluation.systems.base import CONTROLS, system_rank
from valle.reporting import Plot, Report, write_text
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

REPORT_VERSION = 2
"""Increase it with every change of what a report shows, so that stored reports are written again."""


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
    notes: Sequence[str] = (),
) -> Report:
    """Write `report.md`, `report.html` and their `plots/` of one evaluation under one protocol into `directory`.

    Tables and plots are of `normaliser`, a label of score rows, by default that of the first row. WER under every
    other one (stored, or rescored from the raw texts) has a table of its own, and the page can switch to them.
    `provenance` is printed unchanged: name to value. `sections` makes what needs the lake. A report that exists with
    the same content and `sections_key` is left unchanged, and `sections` is not called. `impossible` maps controls
    that the list cannot have to the reason; `notes` are printed with the explanations.

    Raise ConfigurationError when the scores of a possible control are missing, or when the rows belong to several
    evaluations, protocols or metric models.
    """
    reasons, used = dict(impossible or {}), options or BootstrapOptions()
    _require_controls(sorted({row.system for row in scores}), reasons)
    _require_one_setting(scores)
    report = Report(directory / "report.md", _plots(directory / "plots"), directory / "report.html")
    key = _content_key(scores, [title, provenance, normaliser, used, sections_key, reasons, tuple(notes)])
    if _is_written(report, key):
        return report
    chosen = normaliser or scores[0].normaliser
    rows = sorted((row for row in scores if row.normaliser == chosen), key=lambda row: system_rank(row.system))
    rows_by_system = {name: list(members) for name, members in groupby(rows, key=lambda row: row.system)}
    # Again, because a control may be stored under another normaliser only.
    _require_controls(list(rows_by_system), reasons)
    rescored = sorted(rescore(scores), key=lambda row: system_rank(row.system))
    systems = sorted(aggregate(rescored, options=used), key=lambda system: system_rank(system.system))
    shown = [system for system in systems if system.normaliser == chosen]
    _draw(shown, rows_by_system, report.plots)
    content = ReportContent(
        title=title,
        method=_method(shown[0], used),
        systems=_lines(systems, rows_by_system, used),
        scores=rescored,
        normaliser=chosen,
        explanations=[*_explanations(list(rows_by_system), reasons), *notes],
        sections=[
            *score_sections(rows_by_system, options=used),
            *sections(),
            *normaliser_sections(systems, list(rows_by_system)),
        ],
        plots=report.plots,
        provenance=provenance,
        key=key,
    )
    write_text(report.markdown_path, report_markdown(content, directory))
    # The page is written last, because its key marks the report as complete.
    write_page(content, directory)
    return report


def _require_one_setting(scores: Sequence[ScoreRow]) -> None:
    settings = sorted({(row.evaluation, row.protocol) for row in scores})
    if len(settings) > 1:
        raise ConfigurationError(f"A report is of one evaluation and protocol, not of {settings}; write one for each.")
    models = sorted({(row.asr_model, row.speaker_model) for row in scores})
    if len(models) > 1:
        raise ConfigurationError(
            f"The systems were scored by different models, {models}, so that their scores are not comparable; "
            "score all of them with one ASR model and one speaker encoder."
        )


def _require_controls(systems: Sequence[str], reasons: Mapping[str, str]) -> None:
    missing = [name for name in CONTROLS if name not in systems and name not in reasons]
    if missing:
        raise ConfigurationError(
            f"A report needs scores of {' and '.join(missing)} beside {', '.join(sorted(systems)) or 'nothing'}, "
            "because WER and SIM-o mean nothing without them; score them too."
        )


def _lines(
    systems: Sequence[SystemScores], rows_by_system: RowsBySystem, options: BootstrapOptions
) -> list[SystemLine]:
    # Measures other than words do not depend on the normaliser.
    measures = {name: estimate_measures(rows, options=options) for name, rows in rows_by_system.items()}
    return [SystemLine(system, measures.get(system.system, {})) for system in systems]


def _draw(systems: Sequence[SystemScores], rows_by_system: RowsBySystem, plots: Sequence[Plot]) -> None:
    # Imported here: matplotlib loads for seconds, and an unchanged report draws nothing.
    from valle.evaluation.report.plots import plot_errors_against_similarity, plot_similarities, plot_word_errors

    errors, similarities, both = (plot.path for plot in plots)
    plot_word_errors(systems, errors)
    plot_similarities(rows_by_system, similarities)
    plot_errors_against_similarity(rows_by_system, both)


def _plots(directory: Path) -> tuple[Plot, Plot, Plot]:
    return (
        Plot(directory / "wer.png", "Word errors of each system, with intervals by speaker."),
        Plot(directory / "similarity.png", "Speaker similarity to the prompt: further right is more similar."),
        Plot(
            directory / "wer_similarity.png",
            "Each utterance: similar speakers are to the right, correct words at the bottom.",
        ),
    )


def _explanations(systems: Sequence[str], reasons: Mapping[str, str]) -> list[str]:
    present = [f"`{name}`: {meaning}." for name, meaning in CONTROLS.items() if name in systems]
    return [*present, *(f"No `{name}`: {reason}." for name, reason in reasons.items())]


def _method(system: SystemScores, options: BootstrapOptions) -> str:
    return (
        f"Protocol `{system.protocol}`; WER under the text normaliser `{system.normaliser}`; ASR `{system.asr_model}`; "
        f"speaker encoder `{system.speaker_model}`. "
        f"In brackets: {100 * options.confidence:.0f} % intervals, bootstrap over speakers, "
        f"{options.replicas:,} replicas, seed {options.seed}. Missing speech counts as all words wrong and SIM-o 0. "
        "RTF is wall time over duration: lower is faster."
    )


def _content_key(scores: Sequence[ScoreRow], settings: Sequence[object]) -> str:
    """Return a hash of everything that a report is made from, its version included."""
    # The sources are not part of the key: a changed comment must not render all reports again.
    content = hashlib.blake2b(digest_size=16)
    for part in (REPORT_VERSION, *scores, *settings):
        content.update(repr(part).encode())
        content.update(b"\0")
    return content.hexdigest()


def _is_written(report: Report, key: str) -> bool:
    files = [report.markdown_path, *(plot.path for plot in report.plots)]
    return all(path.exists() for path in files) and report.page_path is not None and page_key(report.page_path) == key
