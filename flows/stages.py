"""One flow per stage: plan, set the active configuration, run the missing shards."""

from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.task_runners import TaskRunner

from flows.machine.local_tasks import LocalTaskRunner
from flows.parameters import (
    AlignParameters,
    MixParameters,
    PhonemizeParameters,
    QualityParameters,
    QuantizeParameters,
    SegmentParameters,
    SpeakersParameters,
    TranscribeParameters,
    Workers,
)
from flows.runtime.artifacts import publish_shard_reports
from flows.runtime.events import announce
from flows.runtime.runner import Work, run_all, shard_task, task_runner
from flows.runtime.where import run_id, run_logger
from valle.data_root import DataRoot
from valle.stages.base import Stage
from valle.stages.runner import Job, plan, set_active_configurations
from warehouse.catalogue.planning import ShardPlan
from warehouse.shard_runs import ShardReport


def run_stage(stage: Stage, corpus: str, root: DataRoot, workers: Workers) -> list[ShardReport]:
    """Run `stage` on the shards of `corpus` that need it."""
    return run_jobs(f"{stage.name} {corpus}", [Job(stage, corpus)], root, workers)


def run_jobs(name: str, jobs: Sequence[Job], root: DataRoot, workers: Workers) -> list[ShardReport]:
    """Run the shards that the jobs need, all in one pool: no job may read rows that another writes."""
    plans = [plan(job.stage, job.corpus, root.catalogue.connection()) for job in jobs]
    outdated = [job for job, todo in zip(jobs, plans, strict=True) if not todo.is_active]
    for job in set_active_configurations(outdated, root.lake):
        run_logger().info("%s %s: new active configuration", job.stage.name, job.corpus)
    run = run_id()
    with task_runner(workers) as runner:
        work = [
            _work(runner, job, shard, root, workers, run)
            for job, todo in zip(jobs, plans, strict=True)
            for shard in todo.shards_for(run)
        ]
        return run_all(name, work, width=workers.slots)


def _work(
    runner: TaskRunner[Any] | LocalTaskRunner, job: Job, shard: ShardPlan, root: DataRoot, workers: Workers, run: str
) -> Work:
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
