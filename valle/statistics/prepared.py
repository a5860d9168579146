"""Report on one corpus for the run that prepared it: coverage by stage, and plots."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from valle.reporting import Plot, markdown_rows
from valle.statistics.plots import plot_code_usage, plot_durations, plot_quality
from warehouse.catalogue.views import named_query, run_query

# Utterances whose codes are counted: enough for a plot, and fast even for a corpus of years.
_NUM_CODED = 2000


def coverage_table(connection: duckdb.DuckDBPyConnection, corpus: str) -> str:
    """Return segments of the corpus that passed or were dropped, by stage, as Markdown; empty without segments."""
    table = _query_corpus(connection, "stage_coverage", corpus)
    rows = [
        [row["stage"], row["segments"], row["passed"], row["dropped"], f"{100 * row['share_done']:.4g} %"]
        for row in table.to_pylist()
    ]
    header = ("stage", "segments", "passed", "dropped", "done")
    return markdown_rows(header, rows, numeric=(False, True, True, True, True)) if rows else ""


def corpus_plots(connection: duckdb.DuckDBPyConnection, corpus: str, directory: Path) -> tuple[Plot, ...]:
    """Plot durations, quality and use of codes of one corpus into `directory`; a plot without rows is omitted.

    The view `current_codes` of `connection` is restricted to some utterances of the corpus.
    """
    drawings: tuple[tuple[str, Callable[[pa.Table, Path], Path], str], ...] = (
        ("durations", plot_durations, f"Durations of the utterances of {corpus}."),
        ("quality_histogram", plot_quality, f"Quality of the segments of {corpus}."),
    )
    plots = []
    for name, draw, caption in drawings:
        table = _query_corpus(connection, name, corpus)
        if table.num_rows:
            plots.append(Plot(draw(table, directory / f"{name}.png"), caption))
    return (*plots, *_code_plots(connection, corpus, directory))


def _query_corpus(connection: duckdb.DuckDBPyConnection, name: str, corpus: str) -> pa.Table:
    table = run_query(connection, named_query(name).sql)
    return table.filter(pc.equal(table["corpus"], corpus))


def _code_plots(connection: duckdb.DuckDBPyConnection, corpus: str, directory: Path) -> list[Plot]:
    run_query(
        connection,
        f"CREATE TABLE some_codes AS FROM current_codes WHERE corpus = ? AND drop_reason IS NULL LIMIT {_NUM_CODED}",
        [corpus],
    )
    run_query(connection, "CREATE OR REPLACE VIEW current_codes AS FROM some_codes")
    usage = run_query(connection, named_query("code_usage").sql)
    if usage.num_rows == 0:
        return []
    counts = run_query(connection, named_query("code_counts").sql)
    codec = usage["codec"][0].as_py()  # A corpus has one active codec.
    size = 1 << int(pc.max(usage["largest_entry"]).as_py()).bit_length()
    path = plot_code_usage(usage, counts, directory / "code_usage.png", codec=codec, codebook_size=size)
    return [Plot(path, f"Use of the codebooks of {codec}, in at most {_NUM_CODED:,} utterances of {corpus}.")]
