"""Evaluation as a flow: speak, send the speech down the road, score what was heard, report.

The speech of an evaluation is a corpus like any other, so the flow is `prepare` on it, between a beginning that
speaks and an end that scores. The speech of the controls is a corpus of its own: every system on one list shares it.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.ingest import ingest_corpus
from flows.parameters import CorpusChoice, EvaluateParameters, IngestParameters
from flows.runtime.artifacts import publish_report
from flows.runtime.runner import process_backends
from flows.stages import run_jobs
from manifests.corpus import CorpusOptions
from valle.evaluation.evaluate import score_evaluation, stored_scores
from valle.evaluation.items.registry import register_items
from valle.evaluation.metrics.known_answers import require_sound_judges
from valle.evaluation.plan import EvaluationPlan
from valle.evaluation.resolve import resolve, write_evaluation_report
from valle.evaluation.systems.audio_files import (
    SUFFIX,
    find_speech,
    note_circumstances,
    voices_directory,
    write_continued,
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
from warehouse.rows import ScoreRow

_SHARD_MEGABYTES = 1.0
"""About half a minute of speech: small evaluations, too, keep every worker busy."""


@flow(name="evaluate", flow_run_name="evaluate {parameters.subject}")
def evaluate(parameters: EvaluateParameters) -> Report:
    """Measure WER, SIM-O and naturalness of a system beside the control rows."""
    root = parameters.data_root
    backends = process_backends(parameters.workers.device, parameters.workers.threads)
    resolved = resolve(parameters, root, backends)
    plan = resolved.plan
    register_items(plan.items.items, root.lake, items_hash=plan.items.hash, source=plan.items.source)
    rows: list[ScoreRow] = stored_scores(plan.name, root.lake)
    if rows:
        get_run_logger().info("evaluate %s: nothing to do, its scores are in the lake", plan.name)
    else:
        controls = speak_controls.submit(plan, parameters)
        require_sound_judges(plan.judges, backends)
        controls.result()
        speak_system(plan, parameters)  # alone: its speed is one of the scores
        _listen(plan, parameters)
        rows = score_evaluation(plan, root, backends)
        root.catalogue.refresh()
    written = write_evaluation_report(resolved, rows, root)
    publish_report(f"evaluate {plan.system.name}", written.markdown_path, [plot.path for plot in written.plots])
    get_run_logger().info("Report: %s", written.markdown_path)
    return written


@task(task_run_name="speak controls", cache_policy=NO_CACHE, persist_result=False)
def speak_controls(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Write the speech of the control rows; files that exist are kept."""
    _, directory = plan.speech(parameters.data_root)
    items = control_items(plan.items)
    backends = process_backends(parameters.workers.device, parameters.workers.threads)
    write_controls(items, plan.decoders, backends, directory)
    write_continued(items, control_systems(plan.decoders), directory)


@task(task_run_name="speak {plan.system.name}", cache_policy=NO_CACHE, persist_result=False)
def speak_system(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Write the speech of the system; files that exist are kept."""
    workers, items = parameters.workers, plan.items.items
    directory, _ = plan.speech(parameters.data_root)
    note_circumstances(directory, workers.device, workers.threads)
    plan.system.speak(items, directory, process_backends(workers.device, workers.threads))
    write_continued(items, (plan.system.name,), directory)
    for one in find_speech(items, plan.system.name, directory):
        if one.failure is not None:
            get_run_logger().warning("No speech of %s, trial %d: %s", one.utterance, one.trial, one.failure)


def _listen(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Send all speech down the road: recordings, segments, then transcripts, opinions, speakers and codes at once."""
    data_root, workers = parameters.data_root, parameters.workers
    # The longest speech must stay whole.
    segment = Segment(max_duration=plan.system.longest_seconds)
    of_words, of_voices = judging_stages(plan, codes=parameters.codes, one_at_a_time=parameters.batch == 1)
    whole = _with_speech(plan.speech(data_root))
    spoken = [*whole, *_with_speech(map(voices_directory, plan.speech(data_root)))]
    for directory in spoken:
        _ingest(plan, directory, parameters)
    name = plan.system.name
    run_jobs(f"segment {name}", [Job(segment, one.name) for one in spoken], data_root, workers)
    # What takes longest comes first. Nobody listens to the words of what is only compared by its voice.
    jobs = [Job(stage, one.name) for stage in of_words for one in whole]
    jobs += [Job(of_voices, one.name) for one in spoken]
    run_jobs(f"listen {name}", jobs, data_root, workers)


def judging_stages(plan: EvaluationPlan, *, codes: bool, one_at_a_time: bool) -> tuple[list[Stage], Speakers]:
    """What listens to whole speech, the slowest first, and what compares voices.

    A killed stage loses the batch that it was doing, so with `one_at_a_time` a batch is one utterance.
    """
    # A second hearing of what disagrees with the text would flatter every system.
    transcribe = Transcribe(model=plan.judges.asr, recheck=False)
    quality = Quality(scorers=plan.judges.scorers)
    quantize = Quantize(codec=plan.decoders.codec)
    speakers = Speakers(encoder=plan.judges.speaker_encoder)
    if one_at_a_time:
        transcribe, quality = replace(transcribe, batch_seconds=0.0), replace(quality, batch_seconds=0.0)
        quantize, speakers = replace(quantize, batch_seconds=0.0), replace(speakers, batch_seconds=0.0)
    return [quality, transcribe, *([quantize] if codes else [])], speakers


def _with_speech(directories: Iterable[Path]) -> list[Path]:
    """Those with a file of speech; a system that said nothing at all has none, and all of its items are missing."""
    return [directory for directory in directories if any(directory.glob(f"*/*{SUFFIX}"))]


def _ingest(plan: EvaluationPlan, directory: Path, parameters: EvaluateParameters) -> None:
    options = CorpusOptions(origin="generated", language=plan.items.items[0].language, shard_megabytes=_SHARD_MEGABYTES)
    corpus = CorpusChoice(kind="folder", root=directory, name=directory.name, options=options)
    ingest_corpus(IngestParameters(data=parameters.data, corpus=corpus, workers=parameters.workers))
