"""Commands that run a flow: the parameters of the flow are the options of the command.

Each flow is imported by its command alone, after `configure_prefect`: Prefect reads its environment at import time.
"""

import os
from typing import Annotated, Any

from flows.parameters import (
    CodecReportParameters,
    DemoParameters,
    IngestParameters,
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
from valle.cli.terminal import configure_log


def prepare(*, options: Annotated[PrepareParameters, FIELDS]) -> int:
    """Process a corpus from raw audio to codes."""
    configure_prefect()
    from flows.prepare import prepare as flow

    return run_flow(flow, options)


def ingest(*, options: Annotated[IngestParameters, FIELDS]) -> int:
    """Read the new recordings of a corpus."""
    configure_prefect()
    from flows.ingest import ingest as flow

    return run_flow(flow, options)


def segment(*, options: Annotated[SegmentParameters, FIELDS]) -> int:
    """Find speech in recordings."""
    configure_prefect()
    from flows.stages import segment as flow

    return run_flow(flow, options)


def transcribe(*, options: Annotated[TranscribeParameters, FIELDS]) -> int:
    """Transcribe segments."""
    configure_prefect()
    from flows.stages import transcribe as flow

    return run_flow(flow, options)


def phonemize(*, options: Annotated[PhonemizeParameters, FIELDS]) -> int:
    """Convert transcripts to phonemes."""
    configure_prefect()
    from flows.stages import phonemize as flow

    return run_flow(flow, options)


def quality(*, options: Annotated[QualityParameters, FIELDS]) -> int:
    """Score the audio quality of segments."""
    configure_prefect()
    from flows.stages import quality as flow

    return run_flow(flow, options)


def speakers(*, options: Annotated[SpeakersParameters, FIELDS]) -> int:
    """Embed the speakers of segments."""
    configure_prefect()
    from flows.stages import speakers as flow

    return run_flow(flow, options)


def quantize(*, options: Annotated[QuantizeParameters, FIELDS]) -> int:
    """Encode segments as codes."""
    configure_prefect()
    from flows.stages import quantize as flow

    return run_flow(flow, options)


def select(*, options: Annotated[SelectParameters, FIELDS]) -> int:
    """Select a training set by SQL."""
    configure_prefect()
    from flows.select import select as flow

    return run_flow(flow, options)


def train(*, options: Annotated[TrainParameters, FIELDS]) -> int:
    """Train a model on a training set."""
    configure_prefect()
    from flows.train import train as flow

    return run_flow(flow, options)


def train_codec(*, options: Annotated[TrainCodecParameters, FIELDS]) -> int:
    """Train the embedded codec on audio."""
    configure_prefect()
    from flows.codec import train_codec as flow

    return run_flow(flow, options)


def codec_report(*, options: Annotated[CodecReportParameters, FIELDS] = CodecReportParameters()) -> int:
    """Measure what codecs change in speech."""
    configure_prefect()
    from flows.codec import codec_report as flow

    return run_flow(flow, options)


def demo(*, options: Annotated[DemoParameters, FIELDS] = DemoParameters()) -> int:
    """Run the whole pipeline on the demo corpus."""
    configure_prefect()
    from flows.demo import demo as flow

    return run_flow(flow, options)


def configure_prefect() -> None:
    """Set the environment that Prefect reads at import time, and what of its log is shown."""
    from flows.server.local_server import HEARTBEAT_SECONDS

    # A private server of a first run sets up its database; on a busy machine that takes longer than Prefect waits.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # The local server crashes a run whose heartbeat is older.
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    configure_log()


def run_flow(flow: Any, options: Any) -> int:
    """Run a flow in this process, against the configured Prefect server or a private one."""
    from flows.runtime.shutdown import exit_on_sigterm

    exit_on_sigterm()
    result = flow(options)
    if result is not None and hasattr(result, "describe"):
        say(result.describe())
    return 0
