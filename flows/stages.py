"""One flow per stage, all of them the same few lines: plan, put the options in force, run the missing shards."""

from collections.abc import Sequence
from typing import Any

from prefect import flow, get_run_logger
from prefect.task_runners import TaskRunner

from flows.parameters import (
    PhonemizeParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SpeakersParameters,
    TranscribeParameters,
    Workers,
)
from flows.runtime.artifacts import publish_receipts
from flows.runtime.events import announce
from flows.runtime.runner import Work, process_backends, run_all, run_id, shard_task, task_runner
from valle.data_root import Place
from valle.stages.base import Stage
from valle.stages.runner import Job, Receipt, activate, plan
from warehouse.catalogue.planning import ShardPlan
from warehouse.catalogue.views import NewestCatalogue, refresh


def run_stage(stage: Stage, corpus: str, root: Place, workers: Workers, catalogue: NewestCatalogue) -> list[Receipt]:
    """Do what `corpus` still needs from `stage`: the body of every stage flow; `catalogue` is that of `root`."""
    return run_jobs(f"{stage.name} {corpus}", [Job(stage, corpus)], root, workers, catalogue)


def run_jobs(
    name: str, jobs: Sequence[Job], root: Place, workers: Workers, catalogue: NewestCatalogue
) -> list[Receipt]:
    """Do what every job still needs, the shards of all in one pool: no job may read what another writes."""
    backends = process_backends(workers.device, workers.threads)
    plans = [plan(job.stage, job.corpus, catalogue, backends) for job in jobs]
    outdated = [job for job, todo in zip(jobs, plans, strict=True) if not todo.is_in_force]
    for job in activate(outdated, root.lake, backends):
        get_run_logger().info("%s %s: these options are in force now", job.stage.name, job.corpus)
    run = run_id()
    with task_runner(workers) as runner:
        work = [
            _work(runner, job, shard, root, workers, run)
            for job, todo in zip(jobs, plans, strict=True)
            for shard in todo.shards_for(run)
        ]
        return run_all(name, work, width=workers.width)


def _work(runner: TaskRunner[Any], job: Job, shard: ShardPlan, root: Place, workers: Workers, run: str) -> Work:
    arguments = {
        "stage": job.stage,
        "corpus": job.corpus,
        "shard": shard.shard,
        "root": root,
        "workers": workers,
        "run": run,
    }
    label = f"{job.stage.name} {shard.shard}"
    return Work(
        label=label,
        audio_seconds=shard.audio_seconds,
        submit=lambda wait: runner.submit(shard_task, arguments | {"wait": wait}),
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
