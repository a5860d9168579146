"""Evaluation as a flow: synthesize, run the pipeline on the speech, score the transcriptions, report.

The speech of an evaluation is a corpus like any other, so the flow synthesizes, runs the stages of `prepare`, and
scores. The speech of the controls is a separate corpus, which every system on one item list shares.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment

from flows.ingest import ingest_corpus
from flows.machine.devices import process_backends
from flows.parameters import CorpusChoice, EvaluateParameters, IngestParameters
from flows.runtime.artifacts import publish_report
from flows.runtime.notices import notify
from flows.runtime.runner import run_jobs
from flows.runtime.where import call, run_logger, submit
from manifests.corpus import CorpusOptions
from valle.evaluation.evaluate import score_evaluation, stored_scores
from valle.evaluation.items.registry import register_items
from valle.evaluation.metrics.known_answers import require_valid_models
from valle.evaluation.plan import EvaluationPlan
from valle.evaluation.resolve import resolve, write_evaluation_report
from valle.evaluation.systems.audio_files import (
    SUFFIX,
    find_speech,
    similarity_directory,
    write_continuations,
    write_hardware_note,
)
from valle.evaluation.systems.control_speech import control_items, control_systems, write_controls
from valle.reporting import Report
from valle.stages.base import Stage
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.runner import Job
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

# About half a minute of speech, so that small evaluations keep every worker busy too.
_SHARD_MEGABYTES = 1.0


@flow(name="evaluate", flow_run_name="evaluate {parameters.subject}")
def evaluate(parameters: EvaluateParameters) -> Report:
    """Measure WER, SIM-O and naturalness of a system beside the control rows."""
    _check_command(parameters)
    root = parameters.data_root
    backends = process_backends(parameters.workers)
    resolved = resolve(parameters, root, backends)
    plan = resolved.plan
    register_items(plan.items.items, root.lake, items_hash=plan.items.hash, source=plan.items.source)
    rows: list[ScoreRow] = stored_scores(plan.name, root.lake)
    if rows:
        notify("evaluate %s: nothing to do, its scores are in the lake", plan.name)
    else:
        wait_for_controls = submit(speak_controls, plan, parameters)
        require_valid_models(plan.models, backends)
        wait_for_controls()
        call(speak_system, plan, parameters)  # alone: its speed is one of the scores
        _run_metric_stages(plan, parameters)
        rows = score_evaluation(plan, root, backends)
        root.catalogue.refresh()
    written = write_evaluation_report(resolved, rows, root)
    publish_report(f"evaluate {plan.system.name}", written.markdown_path, [plot.path for plot in written.plots])
    notify("%s. Report: %s", written.summary, written.markdown_path)
    return written


def _check_command(parameters: EvaluateParameters) -> None:
    """Refuse a command line from a form or the API, unless `valle up --allow-commands` started the worker."""
    is_deployment = deployment.id is not None
    if parameters.command is not None and is_deployment and os.environ.get("VALLE_ALLOW_COMMANDS") != "1":
        raise ConfigurationError(
            "A run of a deployment may not start a command: run `valle evaluate --command ...` in a shell, or start "
            "the server with `valle up --allow-commands`."
        )


@task(task_run_name="speak controls", cache_policy=NO_CACHE, persist_result=False)
def speak_controls(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Write the speech of the control rows; keep files that exist."""
    _, directory = plan.speech(parameters.data_root)
    items = control_items(plan.items)
    backends = process_backends(parameters.workers)
    write_controls(items, plan.decoders, backends, directory)
    write_continuations(items, control_systems(plan.decoders), directory)


@task(task_run_name="speak {plan.system.name}", cache_policy=NO_CACHE, persist_result=False)
def speak_system(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Write the speech of the system; keep files that exist."""
    workers, items = parameters.workers, plan.items.items
    directory, _ = plan.speech(parameters.data_root)
    write_hardware_note(directory, workers.device, workers.threads)
    notify("speak %d utterances with %s", len(items), plan.system.name)
    plan.system.speak(items, directory, process_backends(workers))
    write_continuations(items, (plan.system.name,), directory)
    for speech in find_speech(items, plan.system.name, directory):
        if speech.failure is not None:
            run_logger().warning("No speech of %s, trial %d: %s", speech.utterance, speech.trial, speech.failure)


def _run_metric_stages(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Run the pipeline on all speech: ingest, segment, then transcribe, quality, speakers and quantize at once."""
    data_root, workers = parameters.data_root, parameters.workers
    # An utterance must stay one segment, however long it is.
    segment = Segment(max_duration=plan.system.max_seconds)
    text_stages, speakers = metric_stages(plan, codes=parameters.codes, one_at_a_time=parameters.batch == 1)
    scored = _with_speech(plan.speech(data_root))
    compared = [*scored, *_with_speech(map(similarity_directory, plan.speech(data_root)))]
    for directory in compared:
        _ingest(plan, directory, parameters)
    name = plan.system.name
    run_jobs(f"segment {name}", [Job(segment, directory.name) for directory in compared], data_root, workers)
    # The slowest stages first. Speech that serves speaker similarity only is not transcribed.
    jobs = [Job(stage, directory.name) for stage in text_stages for directory in scored]
    jobs += [Job(speakers, directory.name) for directory in compared]
    run_jobs(f"score {name}", jobs, data_root, workers)


def metric_stages(plan: EvaluationPlan, *, codes: bool, one_at_a_time: bool) -> tuple[list[Stage], Speakers]:
    """Return the stages for scored speech, the slowest first, and the stage for speaker similarity.

    A killed stage loses its current batch, so with `one_at_a_time` a batch is one utterance.
    """
    # A second transcription of speech that disagrees with its text would flatter every system.
    transcribe = Transcribe(model=plan.models.asr, recheck=False)
    quality = Quality(scorers=plan.models.scorers)
    quantize = Quantize(codec=plan.decoders.codec)
    speakers = Speakers(encoder=plan.models.speaker_encoder)
    if one_at_a_time:
        # Shorter than any utterance, so that each is a batch of its own.
        one = 0.001
        transcribe, quality = replace(transcribe, batch_seconds=one), replace(quality, batch_seconds=one)
        quantize, speakers = replace(quantize, batch_seconds=one), replace(speakers, batch_seconds=one)
    return [quality, transcribe, *([quantize] if codes else [])], speakers


def _with_speech(directories: Iterable[Path]) -> list[Path]:
    """Keep the directories with at least one audio file; all items of the others are missing."""
    return [directory for directory in directories if any(directory.glob(f"*/*{SUFFIX}"))]


def _ingest(plan: EvaluationPlan, directory: Path, parameters: EvaluateParameters) -> None:
    options = CorpusOptions(origin="generated", language=plan.items.items[0].language, shard_megabytes=_SHARD_MEGABYTES)
    corpus = CorpusChoice(kind="folder", root=directory, name=directory.name, options=options)
    ingest_corpus(IngestParameters(data=parameters.data, corpus=corpus, workers=parameters.workers))
