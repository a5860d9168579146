"""Report on the content of the lake: the named queries as tables and plots, on one page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from valle.reporting import Plot, Report, markdown_table, write_text
from valle.statistics.plots import plot_bars, plot_code_usage, plot_durations, plot_quality, plot_quantiles

RunQuery = Callable[[str], pa.Table]
"""Run a named query (a file of warehouse/queries, without its suffix)."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading, the query of the table below it, and the function that plots it.

    `has_table` is false for histograms, whose plot replaces the table.
    """

    heading: str
    query: str
    caption: str = ""
    draw: Callable[[pa.Table, Path], Path] | None = None
    has_table: bool = True


def _bars(*, labels: tuple[str, ...], values: str, title: str, x: str) -> Callable[[pa.Table, Path], Path]:
    return lambda table, path: plot_bars(table, path, labels=labels, values=values, title=title, x=x)


def _draw_confidence(table: pa.Table, path: Path) -> Path:
    return plot_quantiles(
        table,
        path,
        labels=("corpus", "language"),
        title="ASR confidence",
        x="mean token probability (5, 25, 50, 75, 95 % of transcripts)",
    )


def _sections() -> tuple[_Section, ...]:
    return (
        _Section(
            "Hours by corpus",
            "hours_by_corpus",
            "Hours of utterances that passed every stage.",
            _bars(labels=("corpus",), values="usable_hours", title="Usable speech by corpus", x="duration (h)"),
        ),
        _Section(
            "Hours by language",
            "hours_by_language",
            "Hours of utterances in each language.",
            _bars(labels=("language",), values="hours", title="Usable speech by language", x="duration (h)"),
        ),
        _Section(
            "Training sets",
            "hours_by_split",
            "Hours in each split of each training set.",
            _bars(labels=("training_set", "split"), values="hours", title="Speech by split", x="duration (h)"),
        ),
        _Section("Licences", "licences"),
        _Section("Coverage by stage", "stage_coverage"),
        _Section(
            "Drops by reason",
            "drops_by_reason",
            "Rows that a stage dropped, by its reason.",
            _bars(
                labels=("corpus", "stage", "drop_reason"), values="rows_dropped", title="Dropped rows", x="rows dropped"
            ),
        ),
        _Section("Durations", "duration_quantiles"),
        _Section("Histogram of durations", "durations", "Durations of utterances.", plot_durations, has_table=False),
        _Section("Speakers", "speakers"),
        _Section("Quality", "quality"),
        _Section(
            "Distribution of quality",
            "quality_histogram",
            "Quality of segments, without dropped ones.",
            plot_quality,
            has_table=False,
        ),
        _Section(
            "ASR confidence",
            "asr_confidence",
            "Confidence of the ASR model: thin 5 to 95 %, thick 25 to 75 %, dot the median.",
            _draw_confidence,
        ),
        _Section(
            "Speaking rate and pauses",
            "speaking_rate",
            "Words per second, pauses included.",
            _bars(labels=("corpus",), values="words_per_second", title="Speaking rate", x="words per second"),
        ),
        _Section("Given texts and transcriptions", "given_text_disagreement"),
        _Section("Phonemes", "phoneme_frequencies"),
        _Section("Longest and shortest utterances", "longest_and_shortest"),
        _Section("Throughput", "throughput"),
    )


def _plot_markdown(directory: Path, plot: Plot) -> str:
    return f"![{plot.caption}]({plot.path.relative_to(directory).as_posix()})\n\n{plot.caption}"


def _code_section(run_query: RunQuery, directory: Path) -> tuple[str, list[Plot]]:
    usage = run_query("code_usage")
    if usage.num_rows == 0:
        return "## Codes\n\nNo rows yet.", []
    counts = run_query("code_counts")
    plots = []
    for index, codec in enumerate(sorted(set(usage["codec"].to_pylist()))):
        largest = max(row["largest_entry"] for row in usage.to_pylist() if row["codec"] == codec)
        # The lake does not store the size of a codebook, which is a power of two.
        size = 1 << int(largest).bit_length()
        path = directory / "plots" / f"code_usage_{index}.png"
        plot_code_usage(usage, counts, path, codec=codec, codebook_size=size)
        plots.append(Plot(path, f"Use of the codebooks of {codec}: 1 is uniform use."))
    parts = ["## Codes", *(_plot_markdown(directory, plot) for plot in plots), markdown_table(usage, limit=64)]
    return "\n\n".join(parts), plots


def corpus_report(run_query: RunQuery, directory: Path, *, title: str = "Corpus statistics") -> Report:
    """Run the named queries, plot them, and write `corpus.md` with its `plots/` into `directory`.

    The section of a query without rows is "No rows yet.". Exceptions of `run_query` are not caught.
    """
    blocks, plots = [f"# {title}"], []
    for section in _sections():
        table = run_query(section.query)
        body = [f"## {section.heading}"]
        if table.num_rows == 0:
            blocks.append("\n\n".join([*body, "No rows yet."]))
            continue
        if section.draw is not None:
            plot = Plot(section.draw(table, directory / "plots" / f"{section.query}.png"), section.caption)
            plots.append(plot)
            body.append(_plot_markdown(directory, plot))
        if section.has_table:
            body.append(markdown_table(table))
        blocks.append("\n\n".join([*body, f"Query: `{section.query}`"]))
    codes, code_plots = _code_section(run_query, directory)
    path = directory / "corpus.md"
    write_text(path, "\n\n".join([*blocks, codes]) + "\n")
    return Report(path, (*plots, *code_plots))
