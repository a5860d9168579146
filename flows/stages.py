"""One flow per stage, all of them the same few lines: put the options in force, plan, run the missing shards."""

from prefect import flow, get_run_logger

from flows.chaining import announce
from flows.parameters import (
    PhonemizeParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SpeakersParameters,
    TranscribeParameters,
    Workers,
)
from flows.report import publish_receipts
from flows.runner import Work, process_backends, run_all, run_id, shard_task, task_runner
from valle.place import Place
from valle.stages.base import Stage
from valle.stages.shard import Receipt, activate, plan
from warehouse.catalogue import NewestCatalogue, refresh


def run_stage(stage: Stage, corpus: str, root: Place, workers: Workers, catalogue: NewestCatalogue) -> list[Receipt]:
    """Do what `corpus` still needs from `stage`: the body of every stage flow; `catalogue` is that of `root`."""
    backends = process_backends(workers.device, workers.threads)
    name = f"{stage.name} {corpus}"
    todo = plan(stage, corpus, catalogue, backends)
    if not todo.is_in_force and activate(stage, corpus, root.lake, backends):
        get_run_logger().info("%s: these options are in force now", name)
    run = run_id()
    work = [Work(shard=shard.shard, audio_seconds=shard.audio_seconds) for shard in todo.shards_for(run)]
    with task_runner(workers) as runner:
        return run_all(
            name,
            work,
            lambda piece: runner.submit(
                shard_task,
                {
                    "stage": stage,
                    "corpus": corpus,
                    "shard": piece.shard,
                    "root": root,
                    "workers": workers,
                    "run": run,
                },
            ),
            width=workers.width,
        )


def _run_alone(stage: Stage, corpus: str, root: Place, workers: Workers) -> list[Receipt]:
    receipts = run_stage(stage, corpus, root, workers, NewestCatalogue(root.lake))
    if receipts:
        publish_receipts(f"{stage.name} {corpus}", receipts)
    refresh(root.lake, root.catalogue)
    announce(stage.name, corpus, root, sum(receipt.rows_out for receipt in receipts))
    return receipts


@flow(name="segment", flow_run_name="segment {parameters.corpus}")
def segment(parameters: SegmentParameters) -> list[Receipt]:
    """Find the speech in recordings."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)


@flow(name="transcribe", flow_run_name="transcribe {parameters.corpus}")
def transcribe(parameters: TranscribeParameters) -> list[Receipt]:
    """Write down what is said in segments."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)


@flow(name="phonemize", flow_run_name="phonemize {parameters.corpus}")
def phonemize(parameters: PhonemizeParameters) -> list[Receipt]:
    """Turn transcripts into phonemes."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)


@flow(name="quality", flow_run_name="quality {parameters.corpus}")
def quality(parameters: QualityParameters) -> list[Receipt]:
    """Score how good segments sound."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)


@flow(name="speakers", flow_run_name="speakers {parameters.corpus}")
def speakers(parameters: SpeakersParameters) -> list[Receipt]:
    """Embed the voice of segments."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)


@flow(name="quantize", flow_run_name="quantize {parameters.corpus}")
def quantize(parameters: QuantizeParameters) -> list[Receipt]:
    """Turn segments into codes."""
    return _run_alone(parameters.options, parameters.corpus, parameters.place, parameters.workers)
