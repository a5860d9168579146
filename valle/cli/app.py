"""The tree of commands. Modules of commands are imported when their command is given."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from valle.cli.arguments import read_options_from, run_command
from valle.cli.cyclopts_patches import read_pydantic_fields
from valle.cli.terminal import set_verbosity

_HELP = "Speech corpora in, a zero-shot text-to-speech model and its measured quality out."
# Module and function below `valle.cli`, and the first line of the help, by name.
_Commands = Mapping[str, tuple[str, str]]
_PANELS: Mapping[str, _Commands] = {
    "Pipeline": {
        "prepare": ("flow:prepare", "Process a corpus from raw audio to codes."),
        "select": ("flow:select", "Select a training set by SQL."),
        "train": ("flow:train", "Train a model on a training set."),
        "sweep": ("flow:sweep", "Train variants of a run on the same rows and compare them."),
        "evaluate": ("evaluate:app", "Measure WER and SIM-O of a checkpoint, a folder or a command."),
        "speak": ("speech.speak:speak", "Synthesize a text in the voice of a prompt."),
        "demo": ("flow:demo", "Run the whole pipeline on the demo corpus."),
    },
    "Recorded speech": {
        "edit": ("tasks.edit:edit", "Replace words of recorded speech."),
        "convert": ("tasks.transform:convert", "Give recorded speech another voice."),
        "denoise": ("tasks.transform:denoise", "Remove noise and reverberation from recorded speech."),
        "remove-speech": ("tasks.transform:remove_speech", "Remove the speech from a recording and keep its noise."),
        "extract": ("tasks.transform:extract", "Extract one speaker from a recording of two."),
        "transcribe-speech": ("tasks.tokens:transcribe_speech", "Print the phonemes of recorded speech."),
        "phonemize-text": ("tasks.tokens:phonemize_text", "Print the phonemes of a text."),
    },
    "Speech in use": {
        "ui": ("speech.ui:ui", "Speak, browse data, follow training and read scores in a browser."),
        "listen": ("speech.listen:listen", "Play utterances of the lake, or the worst of an evaluation."),
        "serve": ("speech.serve:serve", "Serve speech by the interface of OpenAI's speech endpoint."),
    },
    "Data and questions": {
        "sql": ("lake.query:sql", "Query the catalogue."),
        "plot": ("lake.reports:plot", "Plot metrics of several training runs."),
        "stats": ("lake.reports:stats", "Write tables and plots of everything in the catalogue."),
    },
    "Local server": {
        "up": ("server:up", "Start the Prefect server, its workers and all deployments on this machine."),
        "down": ("server:down", "Stop the server and workers of `valle up`."),
        "doctor": ("server:doctor", "List what is installed and what is missing, with the command that fixes it."),
    },
    "Checkpoints": {
        "export": ("exchange.checkpoints:export", "Write a checkpoint to publish: weights in half precision."),
        "migrate": ("exchange.migrate:migrate", "Convert checkpoints and lakes of the previous format."),
        "adapt-codec": ("exchange.checkpoints:adapt_codec", "Move a checkpoint to the codes of another codec."),
    },
}
_GROUPS: Mapping[str, tuple[str, _Commands]] = {
    "watermark": (
        "Find or add the mark of synthetic speech.",
        {
            "detect": ("speech.watermark:detect", "Report whether audio files are marked as synthetic."),
            "add": ("speech.watermark:add", "Write an audio file with the mark."),
        },
    ),
    "data": (
        "Run the stages of the pipeline one by one.",
        {
            "plan": ("flow:plan", "Show what `valle prepare` would do, without doing it."),
            "ingest": ("flow:ingest", "Read the new recordings of a corpus."),
            "segment": ("flow:segment", "Find speech in recordings."),
            "transcribe": ("flow:transcribe", "Transcribe segments."),
            "align": ("flow:align", "Locate the words of transcripts in the audio."),
            "phonemize": ("flow:phonemize", "Convert transcripts to phonemes."),
            "quality": ("flow:quality", "Score the audio quality of segments."),
            "speakers": ("flow:speakers", "Embed the speakers of segments."),
            "quantize": ("flow:quantize", "Encode segments as codes."),
            "mix": ("flow:mix", "Mix segments with noise, rooms, second speakers and other voices."),
            "retry": ("lake.upkeep:retry", "Remove dropped rows, so that the next run processes them again."),
        },
    ),
    "schedule": (
        "Process corpora every night.",
        {
            "add": ("schedule:add", "Ingest and quantize a corpus every night."),
            "list": ("schedule:list_schedules", "List the scheduled corpora."),
            "remove": ("schedule:remove", "Remove the schedule of a corpus; its data stay."),
        },
    ),
    "plan": (
        "Show what a command would need, before it starts.",
        {"train": ("plan:plan_train", "Forecast the memory of a training by model, precision and ZeRO stage.")},
    ),
    "lake": (
        "Check and maintain the lake.",
        {
            "catalogue": ("lake.upkeep:catalogue", "Rebuild the DuckDB file."),
            "fsck": ("lake.upkeep:fsck", "Check every promise of the lake."),
            "compact": ("lake.upkeep:compact", "Merge small files of the lake."),
            "vacuum": ("lake.upkeep:vacuum", "Remove files that no table refers to."),
        },
    ),
    "import": (
        "Bring weights and configuration of e-c-k-e-r/vall-e.",
        {
            "weights": ("exchange.imports:import_weights", "Make a run of a file of weights."),
            "adapter": ("exchange.imports:import_adapter", "Make a file of `speak --lora` of an adapter."),
            "config": ("exchange.imports:import_config", "Turn a config.yaml into options of ours."),
            "verify": ("exchange.imports:verify", "Compare weights with what the original program computes."),
        },
    ),
    "hub": (
        "Exchange checkpoints and training sets by the Hugging Face hub.",
        {
            "push": ("exchange.hub:push", "Upload a checkpoint or a training set."),
            "pull": ("exchange.hub:pull", "Download a checkpoint or a training set."),
        },
    ),
    "codec": (
        "Train and measure codecs.",
        {
            "train": ("flow:train_codec", "Train the embedded codec on audio."),
            "report": ("flow:codec_report", "Measure what codecs change in speech."),
        },
    ),
    "models": (
        "Fetch the weights that no wheel contains.",
        {
            "list": ("models:list_models", "List weights, licences and stored files."),
            "fetch": ("models:fetch", "Fetch weights by name."),
            "verify": ("models:verify", "Compare stored weights with their hashes."),
        },
    ),
}


def command_names() -> list[str]:
    """Return the names of all commands, such as `speak` and `data plan`."""
    return [
        *(name for commands in _PANELS.values() for name in commands),
        *(f"{group} {name}" for group, (_, commands) in _GROUPS.items() for name in commands),
    ]


def build_app() -> App:
    """Build the tree of commands; `build_app().meta(tokens)` runs one and returns its exit code."""
    read_pydantic_fields()
    app = App(
        name="valle",
        help=_HELP,
        version=_version,
        result_action="return_value",
        default_parameter=Parameter(show_default=_show_default),
        group_parameters=Group("Options", sort_key=0),
    )
    for number, (panel, commands) in enumerate(_PANELS.items(), 1):
        _add(app, commands, Group(panel, sort_key=number))
    groups = Group("Groups of commands", sort_key=len(_PANELS) + 1)
    for name, (help_text, commands) in _GROUPS.items():
        group = App(name=name, help=help_text, group=groups)
        _add(group, commands)
        app.command(group)
    app.register_install_completion_command(name="--install-completion", help="Install completion for this shell.")
    app.meta.group_parameters = Group("Options of every command", sort_key=len(_PANELS) + 2)
    app.meta.default(_launcher(app))
    return app


def _add(app: App, commands: Mapping[str, tuple[str, str]], panel: Group | None = None) -> None:
    for name, (function, help_text) in commands.items():
        # By import path: the module is imported when its command runs, and the help needs no module at all.
        app.command(f"valle.cli.{function}", name=name, help=help_text, group=panel)


def _launcher(app: App) -> Callable[..., int]:
    """Return the function that handles the options of every command and then runs the command."""

    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Annotated[Path | None, Parameter(help="YAML file with options of the command.")] = None,
        quiet: Annotated[bool, Parameter(negative="", help="Show warnings and errors only.")] = False,
        verbose: Annotated[bool, Parameter(negative="", help="Show every line of the log.")] = False,
        debug: Annotated[bool, Parameter(negative="", help="Show the traceback of an error.")] = False,
    ) -> int:
        read_options_from(app, config)
        set_verbosity(quiet=quiet, verbose=verbose, debug=debug)
        return run_command(app, tokens)

    return launch


def _show_default(value: Any) -> str | None:
    """Return a default for the help as a flag takes it, None for no default."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "none"
    return None if value is None else str(value)


def _version() -> str:
    from importlib.metadata import version

    return version("valle")
