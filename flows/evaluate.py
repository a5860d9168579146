"""Evaluation as a flow: speak, send the speech down the road, score what was heard, report.

The speech of an evaluation is a corpus like any other, so the flow is `prepare` on it, between a beginning that
speaks and an end that scores. The speech of the controls is a corpus of its own: every system on one list shares it.
"""

from collections.abc import Sequence
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.evaluation_plan import report, resolve
from flows.ingest import ingest_corpus
from flows.parameters import CorpusChoice, EvaluateParameters, IngestParameters
from flows.report import publish_report
from flows.runner import process_backends
from flows.stages import run_stage
from manifests.corpus import CorpusOptions
from valle.evaluation.control_speech import control_items, control_systems, write_controls
from valle.evaluation.evaluate import score_evaluation, stored_scores
from valle.evaluation.plan import EvaluationPlan
from valle.evaluation.register import register_items
from valle.evaluation.self_test import require_sound_judges
from valle.evaluation.speech import SUFFIX, find_speech, note_circumstances, voices_directory, write_continued
from valle.stages.base import Stage
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from valle.statistics.report import Report
from warehouse.catalogue import NewestCatalogue, refresh
from warehouse.rows import ScoreRow

_SHARD_MEGABYTES = 0.5
"""About a quarter of a minute of speech: small evaluations, too, keep every worker busy."""


@flow(name="evaluate", flow_run_name="evaluate {parameters.subject}")
def evaluate(parameters: EvaluateParameters) -> Report:
    """Measure WER, SIM-O and naturalness of a system beside the control rows."""
    root = parameters.place
    backends = process_backends(parameters.workers.device, parameters.workers.threads)
    resolved = resolve(parameters, backends)
    plan = resolved.plan
    register_items(plan.items.items, root.lake, items_hash=plan.items.hash, source=plan.items.source)
    rows: list[ScoreRow] = stored_scores(plan.name, root.lake)
    if rows:
        get_run_logger().info("evaluate %s: nothing to do, its scores are in the lake", plan.name)
    else:
        require_sound_judges(plan.judges, backends)
        speak_task(plan, parameters)
        of_system, of_controls = plan.speech(root)
        _listen(plan, of_controls, parameters)
        _listen(plan, of_system, parameters)
        rows = score_evaluation(plan, root, backends)
        refresh(root.lake, root.catalogue)
    written = report(resolved, rows, parameters)
    publish_report(f"evaluate {plan.system.name}", written.markdown_path, [plot.path for plot in written.plots])
    get_run_logger().info("Report: %s", written.markdown_path)
    return written


@task(cache_policy=NO_CACHE, persist_result=False)
def speak_task(plan: EvaluationPlan, parameters: EvaluateParameters) -> int:
    """Write the speech of every system and return the number of files; files that exist are kept."""
    workers = parameters.workers
    backends = process_backends(workers.device, workers.threads)
    of_system, of_controls = plan.speech(parameters.place)
    controls = control_items(plan.items)
    write_controls(controls, plan.decoders, backends, of_controls)
    write_continued(controls, control_systems(plan.decoders), of_controls)
    note_circumstances(of_system, workers.device, workers.threads)
    plan.system.speak(plan.items.items, of_system, backends)
    write_continued(plan.items.items, (plan.system.name,), of_system)
    spoken = find_speech(plan.items.items, plan.system.name, of_system)
    failed = [one for one in spoken if one.failure is not None]
    for one in failed:
        get_run_logger().warning("No speech of %s, trial %d: %s", one.utterance, one.trial, one.failure)
    return len(spoken) - len(failed)


def _listen(plan: EvaluationPlan, directory: Path, parameters: EvaluateParameters) -> None:
    """Send speech down the road: recordings, segments, transcripts, opinions, speakers, codes; of mere voices less."""
    # The longest speech must stay whole; a second hearing of what disagrees with the text would flatter every system.
    segment = Segment(max_duration=plan.system.longest_seconds)
    speakers = Speakers(encoder=plan.judges.speaker_encoder)
    transcribe = Transcribe(model=plan.judges.asr, recheck=False)
    quality = Quality(scorers=plan.judges.scorers)
    stages: tuple[Stage, ...] = (segment, transcribe, quality, speakers)
    if parameters.codes:
        stages += (Quantize(codec=plan.decoders.codec),)
    _down_the_road(plan, directory, stages, parameters)
    _down_the_road(plan, voices_directory(directory), (segment, speakers), parameters)


def _down_the_road(
    plan: EvaluationPlan, directory: Path, stages: Sequence[Stage], parameters: EvaluateParameters
) -> None:
    if not any(directory.glob(f"*/*{SUFFIX}")):
        return  # A system that said nothing at all: every item of it is missing.
    corpus = CorpusChoice(
        kind="folder",
        root=directory,
        name=directory.name,
        options=CorpusOptions(
            origin="generated", language=plan.items.items[0].language, shard_megabytes=_SHARD_MEGABYTES
        ),
    )
    ingest_corpus(IngestParameters(data=parameters.data, corpus=corpus, workers=parameters.workers))
    catalogue = NewestCatalogue(parameters.place.lake)
    for stage in stages:
        run_stage(stage, directory.name, parameters.place, parameters.workers, catalogue)
