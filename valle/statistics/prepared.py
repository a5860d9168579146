"""What one corpus has become, for the report of the run that prepared it: how far it has come, and its pictures."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from valle.reporting import Plot, markdown_rows
from valle.statistics.plots import plot_code_usage, plot_durations, plot_quality
from warehouse.catalogue.views import named_query, run_query

_CODED = 2000
"""Utterances whose codes are counted: enough for a picture, and a moment even in a corpus of years."""


def coverage_table(connection: duckdb.DuckDBPyConnection, corpus: str) -> str:
    """Segments of the corpus that passed or were dropped, by stage, as Markdown; empty before there are any."""
    table = _of_corpus(connection, "stage_coverage", corpus)
    rows = [
        [row["stage"], row["segments"], row["passed"], row["dropped"], f"{100 * row['share_done']:.4g} %"]
        for row in table.to_pylist()
    ]
    header = ("stage", "segments", "passed", "dropped", "done")
    return markdown_rows(header, rows, numeric=(False, True, True, True, True)) if rows else ""


def corpus_plots(connection: duckdb.DuckDBPyConnection, corpus: str, directory: Path) -> tuple[Plot, ...]:
    """Draw lengths, quality and use of codes of one corpus into `directory`; what has no rows is not drawn.

    The view `current_codes` of `connection` is narrowed to a part of the corpus.
    """
    drawings: tuple[tuple[str, Callable[[pa.Table, Path], Path], str], ...] = (
        ("durations", plot_durations, f"How long the utterances of {corpus} are."),
        ("quality_histogram", plot_quality, f"How good the segments of {corpus} sound."),
    )
    plots = []
    for name, draw, caption in drawings:
        table = _of_corpus(connection, name, corpus)
        if table.num_rows:
            plots.append(Plot(draw(table, directory / f"{name}.png"), caption))
    return (*plots, *_code_plots(connection, corpus, directory))


def _of_corpus(connection: duckdb.DuckDBPyConnection, name: str, corpus: str) -> pa.Table:
    table = run_query(connection, named_query(name).sql)
    return table.filter(pc.equal(table["corpus"], corpus))


def _code_plots(connection: duckdb.DuckDBPyConnection, corpus: str, directory: Path) -> list[Plot]:
    run_query(
        connection,
        f"CREATE TABLE some_codes AS FROM current_codes WHERE corpus = ? AND drop_reason IS NULL LIMIT {_CODED}",
        [corpus],
    )
    run_query(connection, "CREATE OR REPLACE VIEW current_codes AS FROM some_codes")
    usage = run_query(connection, named_query("code_usage").sql)
    if usage.num_rows == 0:
        return []
    counts = run_query(connection, named_query("code_counts").sql)
    codec = usage["codec"][0].as_py()  # One codec is in force for a corpus.
    size = 1 << int(pc.max(usage["largest_entry"]).as_py()).bit_length()
    path = plot_code_usage(usage, counts, directory / "code_usage.png", codec=codec, codebook_size=size)
    return [Plot(path, f"Use of the codebooks of {codec}, in at most {_CODED:,} utterances of {corpus}.")]
