"""The tab of the corpus: SQL and filters with players, and reviews of what was played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.listening import describe_segment
from valle.reviews import Verdict, review
from valle.ui.lake import MOST_ROWS, ask, playable, show
from warehouse.catalogue.literals import text_literal
from warehouse.catalogue.views import named_queries, named_query
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.data_root import DataRoot

_COLUMNS = "segment_id, corpus, speaker, language, round(duration, 2) AS seconds, text"
_UTTERANCES = f"SELECT {_COLUMNS}, round(dnsmos_ovrl, 2) AS dnsmos, verdict FROM utterances"
_DROPS = "SELECT id AS segment_id, corpus, stage, drop_reason, drop_detail FROM drops"
_EVERY = "every one"


# Filters write SQL instead of answering, so that an answer can be refined beyond them.
def filter_sql(shown: str, corpus: str, speaker: str, text: str, quality: float | None) -> str:
    """Return the SQL of the filters; values are quoted. Filters of the text and the quality apply to utterances only.

    `quality` is the lowest DNSMOS OVRL; None or 0 is no bound.
    """
    is_dropped = shown == "dropped"
    # A dropped row may lack the very columns that the other filters compare.
    conditions = [f"corpus = {text_literal(corpus)}"] if corpus not in ("", _EVERY) else []
    if not is_dropped:
        conditions += [f"contains(speaker, {text_literal(speaker)})"] if speaker else []
        conditions += [f"contains(lower(text), lower({text_literal(text)}))"] if text else []
        conditions += [f"dnsmos_ovrl >= {float(quality)}"] if quality else []
        conditions += ["verdict = 'bad'"] if shown == "bad" else []
    where = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_DROPS if is_dropped else _UTTERANCES}{where}\nORDER BY segment_id"


def build_data(data_root: DataRoot) -> None:
    """Build the tab."""
    with gr.Row():
        shown = gr.Radio(["utterances", "bad", "dropped"], value="utterances", label="Rows", elem_id="shown")
        corpus = gr.Dropdown([_EVERY, *_corpora(data_root)], value=_EVERY, label="Corpus", allow_custom_value=True)
        speaker = gr.Textbox(label="Speaker contains")
        text = gr.Textbox(label="Text contains", elem_id="contains")
        quality = gr.Number(label="DNSMOS at least", minimum=0, maximum=5)
        named = gr.Dropdown(sorted(named_queries()), label="Or a named query", value=None, elem_id="named")
    sql = gr.Code(f"{_UTTERANCES}\nORDER BY segment_id", language="sql", label="SQL", elem_id="sql")
    run = gr.Button("Run", elem_id="run")
    answer = gr.Dataframe(label=f"Answer, at most {MOST_ROWS} rows", interactive=False, elem_id="answer")
    segment = gr.Textbox(label="Segment: click a row, or give its id", elem_id="segment")
    player = gr.Audio(label="Audio", interactive=False, elem_id="played")
    facts = gr.Markdown(elem_id="facts")
    with gr.Row():
        note = gr.Textbox(label="Reason", elem_id="note")
        bad = gr.Button("Mark as bad", variant="stop", elem_id="bad")
        good = gr.Button("Mark as good", elem_id="good")
    # The order of the parameters of `filter_sql`.
    filters: list[Any] = [shown, corpus, speaker, text, quality]
    for component in filters:
        component.change(filter_sql, filters, sql)
    named.change(lambda name: named_query(name).sql if name else gr.skip(), named, sql)
    run.click(lambda query: show(data_root, query), sql, answer, api_name="query")
    answer.select(_segment_of, answer, segment).then(
        lambda name: _describe(data_root, name), segment, [player, facts], api_name="segment"
    )
    segment.submit(lambda name: _describe(data_root, name), segment, [player, facts])
    reviewed, shown_again = [segment, note], [player, facts]
    bad.click(_reviewer(data_root, "bad"), reviewed, shown_again, api_name="mark_bad")
    good.click(_reviewer(data_root, "good"), reviewed, shown_again, api_name="mark_good")


def _corpora(data_root: DataRoot) -> list[str]:
    return [row["corpus"] for row in ask(data_root, "SELECT DISTINCT corpus FROM sources ORDER BY corpus")]


def _segment_of(answer: Any, event: gr.SelectData) -> str:
    """Return the segment of the row that was clicked."""
    headers = list(answer.columns)
    if "segment_id" not in headers:
        raise gr.Error("The answer has no column segment_id; select it, too, to listen to a row.")
    return str(event.row_value[headers.index("segment_id")])


def _describe(data_root: DataRoot, segment_id: str) -> tuple[Any, str]:
    try:
        found = describe_segment(data_root, segment_id.strip())
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    rows = "\n".join(f"| {name} | {_cell(value)} |" for name, value in found.facts.items())
    return playable(found.audio), f"| {segment_id} | |\n| --- | --- |\n{rows}"


def _cell(value: str) -> str:
    # Text of a corpus is no markup of the page.
    return "".join(f"&#{ord(character)};" if character in "|<>&*_`[]\n" else character for character in value)


def _reviewer(data_root: DataRoot, verdict: Verdict) -> Any:
    def on_review(segment_id: str, note: str) -> tuple[Any, str]:
        try:
            # Pasted ids often end in a line break.
            review(data_root, [segment_id.strip()], verdict, note)
        except PipelineError as error:
            raise gr.Error(str(error)) from error
        return gr.skip(), _describe(data_root, segment_id)[1]

    return on_review
