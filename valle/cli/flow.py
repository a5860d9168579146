"""Commands that run a flow, and `valle data plan`: the parameters of the flow are the options of the command.

Each flow is imported by its command alone, inside `flow_session`. Where a Prefect server is configured a command is a
run of it; elsewhere the function of the flow runs in this process, and no server is started.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter
from pydantic import ValidationError

from flows.codec_parameters import CodecReportParameters, TrainCodecParameters
from flows.parameters import (
    AlignParameters,
    DemoParameters,
    IngestParameters,
    Located,
    MixParameters,
    PhonemizeParameters,
    PrepareParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SelectParameters,
    SpeakersParameters,
    SweepParameters,
    TrainParameters,
    TranscribeParameters,
)
from valle.cli.arguments import FIELDS, CommandLineError, say
from warehouse.errors import ConfigurationError


def prepare(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Process a corpus from raw audio to codes."""
    return run_flow("flows.prepare:prepare", options)


def ingest(*, options: Annotated[IngestParameters, FIELDS]) -> int:
    """Read the new recordings of a corpus."""
    return run_flow("flows.ingest:ingest", options)


def segment(*, options: Annotated[SegmentParameters, FIELDS]) -> int:
    """Find speech in recordings."""
    return run_flow("flows.stages:segment", options)


def transcribe(*, options: Annotated[TranscribeParameters, FIELDS]) -> int:
    """Transcribe segments."""
    return run_flow("flows.stages:transcribe", options)


def align(*, options: Annotated[AlignParameters, FIELDS]) -> int:
    """Locate the words of transcripts in the audio."""
    return run_flow("flows.stages:align", options)


def phonemize(*, options: Annotated[PhonemizeParameters, FIELDS]) -> int:
    """Convert transcripts to phonemes."""
    return run_flow("flows.stages:phonemize", options)


def quality(*, options: Annotated[QualityParameters, FIELDS]) -> int:
    """Score the audio quality of segments."""
    return run_flow("flows.stages:quality", options)


def speakers(*, options: Annotated[SpeakersParameters, FIELDS]) -> int:
    """Embed the speakers of segments."""
    return run_flow("flows.stages:speakers", options)


def quantize(*, options: Annotated[QuantizeParameters, FIELDS]) -> int:
    """Encode segments as codes."""
    return run_flow("flows.stages:quantize", options)


def mix(*, options: Annotated[MixParameters, FIELDS]) -> int:
    """Mix segments with noise, rooms, second speakers and other voices."""
    return run_flow("flows.stages:mix", options)


def select(
    *,
    options: Annotated[SelectParameters, FIELDS],
    cuts: Annotated[tuple[Path, ...], Parameter(help="Short for --selection.cuts.")] = (),
) -> int:
    """Select a training set by SQL, or by the cuts of a file."""
    if cuts and options.selection.cuts:
        raise CommandLineError("Give either --cuts or --selection.cuts: they are the same option.")
    if cuts:
        options = options.model_copy(update={"selection": options.selection.model_copy(update={"cuts": cuts})})
    return run_flow("flows.select:select", options)


def train(*, options: Annotated[TrainParameters, FIELDS]) -> int:
    """Train a model on a training set."""
    return run_flow("flows.training.train:train", options)


def sweep(file: Path, /, *, data: Path | None = None) -> int:
    """Train the variants of a YAML file on the same rows and report them side by side."""
    return run_flow("flows.training.sweep:sweep", read_sweep(file, data))


def read_sweep(file: Path, data: Path | None) -> SweepParameters:
    """Read the parameters of a sweep. Raises ConfigurationError for a file without them."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        given = {} if data is None else {"data": data}
        return SweepParameters.model_validate({**content, **given})
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise ConfigurationError(f"The sweep in {file} cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))} {p['msg']}".strip() for p in error.errors())
        raise ConfigurationError(f"The sweep in {file} is refused: {problems}") from error


def train_codec(*, options: Annotated[TrainCodecParameters, FIELDS]) -> int:
    """Train the embedded codec on audio."""
    return run_flow("flows.codec:train_codec", options)


def codec_report(*, options: Annotated[CodecReportParameters, FIELDS] = CodecReportParameters()) -> int:
    """Measure what codecs change in speech."""
    return run_flow("flows.codec:codec_report", options)


def demo(*, options: Annotated[DemoParameters, FIELDS] = DemoParameters()) -> int:
    """Run the whole pipeline on the demo corpus."""
    return run_flow("flows.demo:demo", options, command="demo")


def plan(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Print, per stage, what is done, what would be done and redone, its hours, time, bytes and reason."""
    from valle.stages.ingest import find_unread
    from valle.statistics.dry_run import forecast
    from warehouse.catalogue.display import format_table

    choice, lake = options.corpus, options.data_root.lake
    result = forecast(options.stages_in_order(), choice.name, lake, unread=find_unread(choice.open(), lake))
    say(format_table(result.table(width=options.workers.slots)))
    for note in result.notes:
        say(note)
    return 0


def run_flow(name: str, options: Located, *, command: str = "") -> int:
    """Run the flow MODULE:NAME on the configured Prefect server, or in this process; print what it returned.

    `command` has an introduction to print.
    """
    with flow_session(options, command=command) as is_on_server:
        module, _, attribute = name.partition(":")
        flow = getattr(import_module(module), attribute)
        return show_result(flow(options) if is_on_server else flow.fn(options))


@contextmanager
def flow_session(options: Located, *, command: str = "") -> Iterator[bool]:
    """Let the body run a flow in this process; yields whether as a run of a Prefect server.

    A cluster needs a server: without a configured one Prefect starts a private one. The body imports the flow: Prefect
    takes seconds to import, and it reads its environment and log levels when it is imported.
    """
    from flows.runtime.terminal import attach, configure_terminal, introduce, verbosity_of
    from flows.server.local_server import HEARTBEAT_SECONDS

    # A private server of a first run sets up its database; on a busy machine that takes longer than Prefect waits.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # The local server crashes a run whose heartbeats are rarer.
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")  # of libraries below Prefect
    verbosity = verbosity_of(os.environ)
    introduce(command, verbosity)
    handler = configure_terminal(verbosity)
    from flows.runtime.shutdown import exit_on_sigterm
    from flows.server.connection import connect_to_prefect, is_server_configured, set_up_logging

    # The first set-up removes handlers, and any import of a flow would cause it.
    set_up_logging()
    attach(handler)

    exit_on_sigterm()
    workers = getattr(options, "workers", None)
    needs_server = workers is not None and not workers.is_local
    with closing(handler):
        if not (needs_server or is_server_configured()):
            yield False
            return
        with connect_to_prefect(options.data_root.root):
            yield True


def show_result(result: Any) -> int:
    """Print what a flow returned, and return the exit code."""
    if result is not None and hasattr(result, "describe"):
        say(result.describe())
    return 0
