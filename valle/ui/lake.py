"""Answers of the lake for the tabs: a query with its errors as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from warehouse.catalogue.views import connect, run_query, run_select
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.audio import Audio
    from valle.data_root import DataRoot

MOST_ROWS = 500


def ask(data_root: DataRoot, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query of this program. Raises gr.Error, which the page shows."""
    try:
        with connect(data_root.lake.snapshot()) as connection:
            return run_query(connection, sql, parameters).to_pylist()
    except PipelineError as error:
        raise gr.Error(str(error)) from error


def show(data_root: DataRoot, sql: str) -> Any:
    """Return the first rows of one SELECT of a user as a table of the page. Raises gr.Error."""
    try:
        with connect(data_root.lake.snapshot()) as connection:
            table = run_select(connection, sql, lake=data_root.lake).slice(0, MOST_ROWS)
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    rows = [
        [value if isinstance(value, int | float) else "" if value is None else str(value) for value in row.values()]
        for row in table.to_pylist()
    ]
    return gr.Dataframe(value={"headers": table.column_names, "data": rows, "metadata": None})


def playable(audio: Audio) -> tuple[int, Any]:
    """Return audio as a player of the page takes it: rate and 16-bit samples [N]."""
    return audio.sample_rate, (audio.samples.clip(-1, 1) * 32767).astype("int16")
