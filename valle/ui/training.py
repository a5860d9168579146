"""The tab of training: start a run, control it, its curves by mode and codebook, and its spoken examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import gradio as gr

from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.training.commands import SIMPLE
from valle.training.options import TrainSettings
from valle.ui.lake import playable
from valle.ui.panel import build_panel, read_panel
from warehouse.errors import ConfigurationError, PipelineError

if TYPE_CHECKING:
    from valle.data_root import DataRoot

_REFRESH_SECONDS = 5.0
_MOST_EXAMPLES = 4
# More points than pixels make a browser slow and a curve no finer.
_MOST_POINTS = 2000
# The first of them that a run has is shown until another is chosen.
_USUAL = ("loss", "loss_ar", "loss_nar")


class StartTraining(Protocol):
    """A way to start a run that lives on without the page."""

    def __call__(self, training_set: str, run: str, settings: TrainSettings) -> str:
        """Start a run and return one sentence for the page. Raises PipelineError."""


def read_curves(metrics: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points (step, value) of every number of a `metrics.jsonl`, by name.

    Numbers by codebook have names such as `top10_nar_by_codebook.3`. A last line that is being written is left out.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    for line in metrics.read_text(encoding="utf-8").splitlines() if metrics.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the trainer is writing the line
            continue
        step = record.pop("step", None)
        for name, value in _numbers(record) if step is not None else ():
            curves.setdefault(name, []).append((int(step), value))
    return curves


def _numbers(record: dict[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        inner = value.items() if isinstance(value, dict) else [(None, value)]
        found += [
            (name if key is None else f"{name}.{key}", float(number))
            for key, number in inner
            if isinstance(number, int | float) and not isinstance(number, bool)
        ]
    return found


def give_command(data_root: DataRoot, run: str, command: str) -> str:
    """Leave a command for the trainer of a run, which obeys after its step; return one sentence.

    Raises ConfigurationError for a run that does not exist.
    """
    folder = data_root.runs / run
    if not run or not folder.is_dir():
        raise ConfigurationError(f"There is no run {run!r}; start it first.")
    # Appended: the trainer may not have read the command before it yet.
    with (folder / "commands").open("a", encoding="utf-8") as file:
        file.write(f"{command}\n")
    return f"`{command}` is left for {run}, which obeys after its present step."


def find_examples(data_root: DataRoot, run: str) -> list[tuple[str, Path]]:
    """Return the newest spoken examples of a run, at most four: checkpoint and utterance, and the file."""
    folders = sorted((data_root.runs / run / "audio").glob("step-*"))
    files = sorted(folders[-1].glob("*.wav"))[:_MOST_EXAMPLES] if folders else []
    return [(f"{file.parent.name}: {file.stem}", file) for file in files]


def build_training(data_root: DataRoot, start: StartTraining | None) -> None:
    """Build the tab; without `start` no run can be started."""
    if start is not None:
        _build_form(data_root, start)
    run = gr.Dropdown(_runs(data_root), label="Run", elem_id="runs", allow_custom_value=True)
    fields = gr.Dropdown(["loss"], value=["loss"], multiselect=True, label="Curves", elem_id="curves")
    plot = gr.LinePlot(x="step", y="value", color="curve", label="Training", elem_id="curve")
    note = gr.Markdown(elem_id="position")
    # Not the position, which every update of the curves replaces.
    answer = gr.Markdown(elem_id="command-answer")
    with gr.Row():
        for command in SIMPLE:
            gr.Button(command, elem_id=f"command-{command}").click(
                _commander(data_root, command), run, answer, api_name=f"train_{command}"
            )
    with gr.Row():
        players = [gr.Audio(visible=False, interactive=False) for _ in range(_MOST_EXAMPLES)]
    timer = gr.Timer(_REFRESH_SECONDS)

    def on_tick(name: str | None, chosen: list[str]) -> tuple[Any, ...]:
        return _follow(data_root, name or "", chosen)

    # Not `change`: each update sets both, so that updates would follow each other without a pause.
    for event in (run.input, fields.input, timer.tick):
        event(on_tick, [run, fields], [run, plot, fields, note, *players], show_progress="hidden")


def _build_form(data_root: DataRoot, start: StartTraining) -> None:
    with gr.Accordion("Start a run", open=False, elem_id="start-run"):
        with gr.Row():
            training_set = gr.Dropdown(_sets(data_root), label="Training set", allow_custom_value=True, elem_id="set")
            name = gr.Textbox(label="Name of the run; one that exists is continued", elem_id="run-name")
        with gr.Accordion("Options", open=False, elem_id="train-options"):
            panel = build_panel(TrainSettings, TrainSettings())
        button = gr.Button("Start", variant="primary", elem_id="start")
        answer = gr.Markdown(elem_id="started")

    def on_start(chosen: str | None, run: str, *values: Any) -> str:
        if not chosen or not run:
            raise gr.Error("Choose a training set and give the run a name.")
        try:
            return start(chosen, run, read_panel(TrainSettings, values))
        except PipelineError as error:
            raise gr.Error(str(error)) from error

    button.click(on_start, [training_set, name, *panel], answer, api_name="train")


def _commander(data_root: DataRoot, command: str) -> Any:
    def on_command(run: str | None) -> str:
        try:
            return give_command(data_root, run or "", command)
        except PipelineError as error:
            raise gr.Error(str(error)) from error

    return on_command


def _follow(data_root: DataRoot, run: str, chosen: Sequence[str]) -> tuple[Any, ...]:
    """Return what the components show of a run now: runs, plot, names of curves, position and examples."""
    runs = gr.Dropdown(choices=_runs(data_root))
    silent = [gr.skip()] * _MOST_EXAMPLES
    curves = read_curves(data_root.runs / run / "metrics.jsonl") if run else {}
    if not curves:
        text = f"{run} has no step yet." if run else "Choose a run."
        return runs, gr.skip(), gr.skip(), text, *silent
    # The type that the plot takes; it takes half a second to import.
    import pandas

    shown = [name for name in chosen if name in curves] or [name for name in _USUAL if name in curves][:1]
    rows = [(step, value, name) for name in shown for step, value in curves[name][-_MOST_POINTS:]]
    frame = pandas.DataFrame(rows, columns=["step", "value", "curve"])
    last = max(points[-1][0] for points in curves.values())
    names = gr.Dropdown(choices=sorted(curves), value=shown)
    return runs, frame, names, f"Step {last} of {run}.", *_players(find_examples(data_root, run))


def _players(examples: Sequence[tuple[str, Path]]) -> list[Any]:
    players = []
    for label, file in examples:
        try:
            audio = playable(read_audio(AudioLocation(str(file))))
        except UnreadableAudio:  # it is being written
            continue
        players.append(gr.Audio(value=audio, label=label, visible=True))
    return players + [gr.Audio(visible=False)] * (_MOST_EXAMPLES - len(players))


def _runs(data_root: DataRoot) -> list[str]:
    # A run has options from its start and metrics after its first steps; imported runs have metrics only.
    found = [path for name in ("options.json", "metrics.jsonl") for path in Path(data_root.runs).glob(f"*/{name}")]
    return sorted({path.parent.name for path in found})


def _sets(data_root: DataRoot) -> list[str]:
    return sorted(path.parent.name for path in Path(data_root.training_sets).glob("*/set.json"))
