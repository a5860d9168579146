"""Commands that run a flow, and `valle data plan`: the parameters of the flow are the options of the command.

Each flow is imported by its command alone, inside `prefect_session`.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

from flows.parameters import (
    CodecReportParameters,
    DemoParameters,
    IngestParameters,
    Located,
    PhonemizeParameters,
    PrepareParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SelectParameters,
    SpeakersParameters,
    TrainCodecParameters,
    TrainParameters,
    TranscribeParameters,
)
from valle.cli.arguments import FIELDS, say


def prepare(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Process a corpus from raw audio to codes."""
    with prefect_session(options):
        from flows.prepare import prepare as flow

        return show_result(flow(options))


def ingest(*, options: Annotated[IngestParameters, FIELDS]) -> int:
    """Read the new recordings of a corpus."""
    with prefect_session(options):
        from flows.ingest import ingest as flow

        return show_result(flow(options))


def segment(*, options: Annotated[SegmentParameters, FIELDS]) -> int:
    """Find speech in recordings."""
    with prefect_session(options):
        from flows.stages import segment as flow

        return show_result(flow(options))


def transcribe(*, options: Annotated[TranscribeParameters, FIELDS]) -> int:
    """Transcribe segments."""
    with prefect_session(options):
        from flows.stages import transcribe as flow

        return show_result(flow(options))


def phonemize(*, options: Annotated[PhonemizeParameters, FIELDS]) -> int:
    """Convert transcripts to phonemes."""
    with prefect_session(options):
        from flows.stages import phonemize as flow

        return show_result(flow(options))


def quality(*, options: Annotated[QualityParameters, FIELDS]) -> int:
    """Score the audio quality of segments."""
    with prefect_session(options):
        from flows.stages import quality as flow

        return show_result(flow(options))


def speakers(*, options: Annotated[SpeakersParameters, FIELDS]) -> int:
    """Embed the speakers of segments."""
    with prefect_session(options):
        from flows.stages import speakers as flow

        return show_result(flow(options))


def quantize(*, options: Annotated[QuantizeParameters, FIELDS]) -> int:
    """Encode segments as codes."""
    with prefect_session(options):
        from flows.stages import quantize as flow

        return show_result(flow(options))


def select(*, options: Annotated[SelectParameters, FIELDS]) -> int:
    """Select a training set by SQL."""
    with prefect_session(options):
        from flows.select import select as flow

        return show_result(flow(options))


def train(*, options: Annotated[TrainParameters, FIELDS]) -> int:
    """Train a model on a training set."""
    with prefect_session(options):
        from flows.train import train as flow

        return show_result(flow(options))


def train_codec(*, options: Annotated[TrainCodecParameters, FIELDS]) -> int:
    """Train the embedded codec on audio."""
    with prefect_session(options):
        from flows.codec import train_codec as flow

        return show_result(flow(options))


def codec_report(*, options: Annotated[CodecReportParameters, FIELDS] = CodecReportParameters()) -> int:
    """Measure what codecs change in speech."""
    with prefect_session(options):
        from flows.codec import codec_report as flow

        return show_result(flow(options))


def demo(*, options: Annotated[DemoParameters, FIELDS] = DemoParameters()) -> int:
    """Run the whole pipeline on the demo corpus."""
    with prefect_session(options, command="demo"):
        from flows.demo import demo as flow

        return show_result(flow(options))


def plan(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Print, per stage, what is done, what would be done and redone, its hours, time, bytes and reason."""
    from valle.stages.dry_run import forecast
    from valle.stages.ingest import find_unread
    from warehouse.catalogue.display import format_table

    choice, lake = options.corpus, options.data_root.lake
    result = forecast(options.stages.in_order(), choice.name, lake, unread=find_unread(choice.open(), lake))
    say(format_table(result.table(width=options.workers.width)))
    for note in result.notes:
        say(note)
    return 0


@contextmanager
def prefect_session(options: Located, *, command: str = "") -> Iterator[None]:
    """Let the body run a flow in this process, on the configured Prefect server or on a private one.

    `command` has an introduction to print. The body imports the flow: Prefect takes seconds to import, and it reads its
    environment and log levels when it is imported.
    """
    from flows.runtime.terminal import configure_terminal, introduce, verbosity_of
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
    from flows.server.connection import connect_to_prefect

    exit_on_sigterm()
    with closing(handler), connect_to_prefect(options.data_root.root):
        yield


def show_result(result: Any) -> int:
    """Print what a flow returned, and return the exit code."""
    if result is not None and hasattr(result, "describe"):
        say(result.describe())
    return 0
