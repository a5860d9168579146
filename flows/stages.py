"""One flow per stage."""

from prefect import flow

from flows.machine.workers import Workers
from flows.parameters import (
    AlignParameters,
    MixParameters,
    PhonemizeParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SpeakersParameters,
    TranscribeParameters,
)
from flows.runtime.artifacts import publish_shard_reports
from flows.runtime.events import announce
from flows.runtime.runner import run_stage
from valle.data_root import DataRoot
from valle.stages.base import Stage
from warehouse.shard_runs import ShardReport


def _run_alone(stage: Stage, corpus: str, root: DataRoot, workers: Workers) -> list[ShardReport]:
    reports = run_stage(stage, corpus, root, workers)
    if reports:
        publish_shard_reports(f"{stage.name} {corpus}", reports, folder=root.reports)
    root.catalogue.refresh()
    announce(stage.name, corpus, root, sum(report.rows_out for report in reports))
    return reports


@flow(name="segment", flow_run_name="segment {parameters.corpus}")
def segment(parameters: SegmentParameters) -> list[ShardReport]:
    """Find the speech in recordings."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="transcribe", flow_run_name="transcribe {parameters.corpus}")
def transcribe(parameters: TranscribeParameters) -> list[ShardReport]:
    """Transcribe segments."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="align", flow_run_name="align {parameters.corpus}")
def align(parameters: AlignParameters) -> list[ShardReport]:
    """Locate the words of transcripts in the audio."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="phonemize", flow_run_name="phonemize {parameters.corpus}")
def phonemize(parameters: PhonemizeParameters) -> list[ShardReport]:
    """Encode transcripts as phonemes."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="quality", flow_run_name="quality {parameters.corpus}")
def quality(parameters: QualityParameters) -> list[ShardReport]:
    """Score the quality of segments."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="speakers", flow_run_name="speakers {parameters.corpus}")
def speakers(parameters: SpeakersParameters) -> list[ShardReport]:
    """Compute speaker embeddings of segments."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="quantize", flow_run_name="quantize {parameters.corpus}")
def quantize(parameters: QuantizeParameters) -> list[ShardReport]:
    """Encode segments with a codec."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)


@flow(name="mix", flow_run_name="mix {parameters.corpus}")
def mix(parameters: MixParameters) -> list[ShardReport]:
    """Mix segments with noise, rooms, second speakers and other voices."""
    return _run_alone(parameters.options, parameters.corpus, parameters.data_root, parameters.workers)
