"""The tabs about data, training and evaluation: SQL with players, loss curves, the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.listening import read_utterance
from valle.statistics.training import read_metrics
from warehouse.catalogue.views import connect, named_queries, named_query, run_query
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.data_root import DataRoot

_MOST_ROWS = 500
_UTTERANCES = (
    "SELECT segment_id, corpus, speaker, language, duration, text, dnsmos_ovrl FROM utterances ORDER BY segment_id"
)


def _query(data_root: DataRoot, sql: str) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and the first rows of an answer. Raises gr.Error, which the page shows."""
    try:
        with connect(data_root.lake.snapshot()) as connection:
            table = run_query(connection, sql).slice(0, _MOST_ROWS)
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    rows = [
        [value if isinstance(value, int | float) else str(value) for value in row.values()] for row in table.to_pylist()
    ]
    return table.column_names, rows


def build_data(data_root: DataRoot) -> None:
    """Build the tab of the corpus: SQL over the lake, and the audio of the chosen utterance."""
    named = gr.Dropdown(sorted(named_queries()), label="Named query", elem_id="named")
    sql = gr.Code(_UTTERANCES, language="sql", label="SQL", elem_id="sql")
    run = gr.Button("Run", elem_id="run")
    answer = gr.Dataframe(label=f"Answer, at most {_MOST_ROWS} rows", interactive=False, elem_id="answer")
    title = gr.Markdown("Click a row with a segment_id to listen to it.", elem_id="heard")
    player = gr.Audio(label="Utterance", interactive=False)

    def on_run(text: str) -> Any:
        columns, rows = _query(data_root, text)
        return gr.Dataframe(value={"headers": columns, "data": rows, "metadata": None})

    def on_select(event: gr.SelectData) -> tuple[str, Any]:
        try:
            found = read_utterance(data_root, str(event.row_value[0]))
        except PipelineError as error:
            raise gr.Error(str(error)) from error
        return found.title, (found.audio.sample_rate, (found.audio.samples * 32767).astype("int16"))

    named.change(lambda name: named_query(name).sql, named, sql)
    run.click(on_run, sql, answer, api_name="query")
    answer.select(on_select, None, [title, player])


def build_training(data_root: DataRoot) -> None:
    """Build the tab of training: the curves of a run, read again every few seconds."""
    run = gr.Dropdown(_runs(data_root), label="Run", elem_id="runs")
    field = gr.Dropdown(["loss"], value="loss", label="Metric", allow_custom_value=True)
    plot = gr.LinePlot(x="step", y="value", label="Training", elem_id="curve")
    note = gr.Markdown("`valle train` starts a run; typing `save`, `eval` or `quit` in its terminal controls it.")
    timer = gr.Timer(5.0)

    def on_change(name: str | None, metric: str) -> tuple[Any, Any, str]:
        if not name:
            return gr.skip(), gr.skip(), "There is no run yet; `valle train` starts one."
        try:
            records = read_metrics(data_root.runs / name / "metrics.jsonl")
        except PipelineError as error:
            return gr.skip(), gr.skip(), str(error)
        import pandas

        names = sorted({key for record in records for key in record} - {"step"})
        points = [(record["step"], record[metric]) for record in records if metric in record]
        frame = pandas.DataFrame(points, columns=["step", "value"])
        return frame, gr.Dropdown(names, value=metric), f"Step {records[-1]['step']:.0f} of {name}."

    for event in (run.change, field.change, timer.tick):
        event(on_change, [run, field], [plot, field, note])


def _runs(data_root: DataRoot) -> list[str]:
    return sorted(path.parent.name for path in Path(data_root.runs).glob("*/metrics.jsonl"))


def build_evaluation(data_root: DataRoot) -> None:
    """Build the tab of evaluation: the leaderboard of the lake."""
    show = gr.Button("Show the leaderboard", elem_id="leaderboard")
    board = gr.Dataframe(label="Systems", interactive=False)

    def on_show() -> Any:
        columns, rows = _query(data_root, named_query("leaderboard").sql)
        return gr.Dataframe(value={"headers": columns, "data": rows, "metadata": None})

    show.click(on_show, None, board)
