"""Commands that run a flow: the parameters of the flow are the options of the command."""

import logging
import os
from collections.abc import Sequence
from importlib import import_module

from valle.cli.arguments import parse, say

_FLOWS = {
    "demo": ("flows.demo", "demo", "DemoParameters"),
    "prepare": ("flows.prepare", "prepare", "PrepareParameters"),
    "ingest": ("flows.ingest", "ingest", "IngestParameters"),
    "segment": ("flows.stages", "segment", "SegmentParameters"),
    "transcribe": ("flows.stages", "transcribe", "TranscribeParameters"),
    "phonemize": ("flows.stages", "phonemize", "PhonemizeParameters"),
    "quality": ("flows.stages", "quality", "QualityParameters"),
    "speakers": ("flows.stages", "speakers", "SpeakersParameters"),
    "quantize": ("flows.stages", "quantize", "QuantizeParameters"),
    "select": ("flows.select", "select", "SelectParameters"),
    "train": ("flows.train", "train", "TrainParameters"),
    "train-codec": ("flows.codec", "train_codec", "TrainCodecParameters"),
    "codec-report": ("flows.codec", "codec_report", "CodecReportParameters"),
    "evaluate": ("flows.evaluate", "evaluate", "EvaluateParameters"),
}


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the flow of `command` in this process, against the Prefect server that is configured or a private one."""
    module, name, parameters = _FLOWS[command]
    # A private server of a first run sets up its database; on a busy machine that takes longer than Prefect waits.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # On the server of a station, a run that is silent for longer is taken for dead.
    heartbeat = import_module("flows.server.local_server").HEARTBEAT_SECONDS
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(heartbeat))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    options = parse(getattr(import_module("flows.parameters"), parameters), command, arguments)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    import_module("flows.runtime.shutdown").exit_on_sigterm()
    flow = getattr(import_module(module), name)
    result = flow(options)
    if result is not None and hasattr(result, "describe"):
        say(result.describe())
    return 0
