"""Commands that run a flow: the parameters of the flow are the options of the command."""

import os
from collections.abc import Sequence
from contextlib import closing
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
    """Run the flow of `command` in this process, on the Prefect server that is configured or on a private one."""
    from flows.runtime.terminal import configure_terminal, introduce, verbosity_of
    from flows.server.local_server import HEARTBEAT_SECONDS

    module, name, parameters = _FLOWS[command]
    # A private server of a first run sets up its database; on a busy machine that takes longer than Prefect waits.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # The local server crashes a run whose heartbeats are rarer.
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", str(HEARTBEAT_SECONDS))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    verbosity = verbosity_of(os.environ)
    if not {"-h", "--help"} & set(arguments):
        introduce(command, verbosity)
    options = parse(getattr(import_module("flows.parameters"), parameters), command, arguments)
    handler = configure_terminal(verbosity)
    # Prefect is imported from here on: it takes seconds, and a wrong option is reported before.
    from flows.runtime.shutdown import exit_on_sigterm
    from flows.server.connection import connect_to_prefect

    exit_on_sigterm()
    flow = getattr(import_module(module), name)
    with closing(handler), connect_to_prefect(options.data_root.root):
        result = flow(options)
    if result is not None and hasattr(result, "describe"):
        say(result.describe())
    return 0
