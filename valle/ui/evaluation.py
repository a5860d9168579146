"""The tab of evaluation: the leaderboard, and a blind test of two systems with its results."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.evaluation.blind_test import STRONGEST, BlindPair, answer, draw_pair, results, systems_with_audio
from valle.listening import read_file
from valle.ui.lake import playable, show
from warehouse.catalogue.views import named_query
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.data_root import DataRoot
    from valle.evaluation.stats.bootstrap import Estimate

_RATINGS = [
    ("much worse", -3),
    ("worse", -2),
    ("slightly worse", -1),
    ("about the same", 0),
    ("slightly better", 1),
    ("better", 2),
    ("much better", STRONGEST),
]


def build_evaluation(data_root: DataRoot) -> None:
    """Build the tab."""
    board_button = gr.Button("Show the leaderboard", elem_id="leaderboard")
    board = gr.Dataframe(label="Systems", interactive=False, elem_id="systems")
    board_button.click(lambda: show(data_root, named_query("leaderboard").sql), None, board)
    gr.Markdown("## Blind test\nTwo recordings of one text follow in random order; the systems are not named.")
    known = systems_with_audio(data_root)
    with gr.Row():
        listener = gr.Textbox(label="Name of the listener", elem_id="listener")
        system_a = gr.Dropdown(known, label="One system", elem_id="system-a")
        system_b = gr.Dropdown(known, label="The other system", elem_id="system-b")
        draw = gr.Button("Play a pair", elem_id="draw")
    # On the server only: a page that knew the systems would not be blind.
    pair = gr.State(None)
    text = gr.Markdown(elem_id="pair-text")
    with gr.Row():
        first = gr.Audio(label="First", interactive=False, elem_id="first")
        second = gr.Audio(label="Second", interactive=False, elem_id="second")
    rating = gr.Radio(_RATINGS, label="The second, compared with the first, is", elem_id="rating")
    send = gr.Button("Answer and play the next pair", variant="primary", elem_id="answer-pair")
    table = gr.Dataframe(value=_results(data_root), label="Answers so far", interactive=False, elem_id="blind-results")
    chosen = [system_a, system_b, listener]
    shown = [pair, text, first, second, rating]
    draw.click(lambda *values: _draw(data_root, *values), chosen, shown, api_name="blind_pair")
    # A pair that is already answered is put away first, so that a second click is no second answer.
    send.click(
        lambda *values: _answer(data_root, *values), [pair, rating], [pair, table], api_name="blind_answer"
    ).then(lambda *values: _draw(data_root, *values), chosen, shown)


def _draw(data_root: DataRoot, system_a: str | None, system_b: str | None, listener: str) -> tuple[Any, ...]:
    try:
        pair = draw_pair(data_root, (system_a or "", system_b or ""), listener, random.Random())
        audio = [playable(read_file(path).audio) for path in (pair.first, pair.second)]
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    # The last rating is cleared, so that no pair is answered by the click before it.
    return pair, f"> {pair.text}", *audio, None


def _answer(data_root: DataRoot, pair: BlindPair | None, rating: int | None) -> tuple[Any, Any]:
    if pair is None:
        raise gr.Error("Play a pair first.")
    if rating is None:
        raise gr.Error("Choose how the second compares with the first.")
    answer(data_root, pair, int(rating))
    return None, _results(data_root)


def _results(data_root: DataRoot) -> Any:
    headers = ["A", "B", "answers", "listeners", "CMOS of B over A", "95 %", "prefers B", "95 %"]
    rows = [
        [
            found.system_a,
            found.system_b,
            found.num_answers,
            found.num_listeners,
            round(found.cmos.value, 2),
            _interval(found.cmos),
            f"{found.preference.value:.0%}",
            _interval(found.preference),
        ]
        for found in results(data_root)
    ]
    return {"headers": headers, "data": rows, "metadata": None}


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "needs two speakers"
    return f"{estimate.low:.2f} to {estimate.high:.2f}"
