"""Evaluation as a flow: speak, send the speech down the road, score what was heard, report.

The speech of an evaluation is a corpus like any other, so the flow is `prepare` on it, between a beginning that
speaks and an end that scores.
"""

from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.ingest import ingest_corpus
from flows.parameters import CorpusChoice, EvaluateParameters, IngestParameters
from flows.report import publish_report
from flows.runner import process_backends
from flows.stages import run_stage
from manifests.corpus import CorpusOptions
from valle.evaluation.evaluate import (
    EvaluationPlan,
    plan_evaluation,
    report_evaluation,
    score_evaluation,
    stored_scores,
)
from valle.evaluation.speech import Spoken, write_controls, write_speech
from valle.stages.segment import Segment
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from valle.statistics.report import Report
from valle.synthesis.synthesizer import Synthesizer
from valle.training.checkpoint import CheckpointCard, latest_checkpoint, read_card
from warehouse.catalogue import refresh
from warehouse.errors import CheckpointError
from warehouse.rows import ScoreRow


@flow(name="evaluate", flow_run_name="evaluate {parameters.run}")
def evaluate(parameters: EvaluateParameters) -> Report:
    """Measure WER and SIM-O of the newest checkpoint of a run beside the control rows."""
    root = parameters.place
    checkpoint = latest_checkpoint(root.runs / parameters.run)
    if checkpoint is None:
        raise CheckpointError(f"Run {parameters.run} has no checkpoint below {root.runs}; train it with `valle train`.")
    card = read_card(checkpoint)
    plan = plan_evaluation(
        root,
        checkpoint,
        card,
        where=parameters.where,
        count=parameters.count,
        trials=parameters.trials,
        seed=parameters.seed,
        sampling=parameters.sampling,
    )
    rows = stored_scores(plan.name, root.lake)
    if rows:
        get_run_logger().info("evaluate %s: nothing to do, its scores are in the lake", plan.name)
    else:
        files = speak_task(plan, parameters)
        _listen(plan, parameters)
        rows = score_evaluation(plan, files, card, root.lake)
        refresh(root.lake, root.catalogue)
    return _report(plan, rows, card, parameters)


@task(cache_policy=NO_CACHE, persist_result=False)
def speak_task(plan: EvaluationPlan, parameters: EvaluateParameters) -> list[Spoken]:
    """Write the speech of every system; files that exist are kept."""
    backends = process_backends(parameters.workers.device, parameters.workers.threads)
    synthesizer = Synthesizer.load(plan.checkpoint, backends)
    directory = _speech_directory(plan, parameters)
    controls = write_controls(plan.items, synthesizer.codec, directory)
    return controls + write_speech(plan.items, synthesizer, directory, options=plan.sampling)


def _speech_directory(plan: EvaluationPlan, parameters: EvaluateParameters) -> Path:
    return parameters.place.speech / plan.name


def _listen(plan: EvaluationPlan, parameters: EvaluateParameters) -> None:
    """Send the speech down the road: recordings, segments, transcripts, speakers."""
    corpus = CorpusChoice(
        kind="folder",
        root=_speech_directory(plan, parameters),
        name=plan.name,
        options=CorpusOptions(origin="generated", language="en"),
    )
    ingest_corpus(IngestParameters(data=parameters.data, corpus=corpus, workers=parameters.workers))
    # The longest speech must stay whole; a second hearing of what disagrees with the text would flatter every system.
    stages = (
        Segment(max_duration=max(60.0, plan.sampling.max_seconds + 1)),
        Transcribe(model=parameters.asr, recheck=False),
        Speakers(encoder=parameters.speaker_encoder),
    )
    for stage in stages:
        run_stage(stage, plan.name, parameters.place, parameters.workers)


def _report(plan: EvaluationPlan, rows: list[ScoreRow], card: CheckpointCard, parameters: EvaluateParameters) -> Report:
    report = report_evaluation(plan, rows, card, parameters.place)
    publish_report(f"evaluate {card.checkpoint_id}", report.markdown_path, [plot.path for plot in report.plots])
    get_run_logger().info("Report: %s", report.markdown_path)
    return report
