"""The demo: the whole road on a small corpus that comes with the project, with models that come with it too."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from prefect import flow, get_run_logger

from flows.demo_speech import DemoSpeech, speak_once
from flows.evaluate import evaluate
from flows.parameters import (
    CorpusChoice,
    DemoParameters,
    EvaluateParameters,
    PrepareParameters,
    SelectParameters,
    Stages,
    TrainParameters,
)
from flows.prepare import prepare
from flows.runtime.artifacts import publish_report
from flows.select import select
from flows.train import is_finished, train
from manifests import CorpusKind, CorpusOptions
from manifests.demo.clips import HELD_OUT, demo_clips
from manifests.demo.layout import DemoLayout, lay_out_demo
from valle.checkpoints.runs import EMBEDDED
from valle.data.selection.select import Selection
from valle.data.selection.splits import SplitPolicy
from valle.stages.quality import Quality
from valle.stages.transcribe import Transcribe
from valle.statistics.corpus_report import corpus_report
from valle.synthesis.options import SamplingOptions
from valle.training.options import TrainSettings
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.shard_runs import ShardReport

_QUERIES = ("hours_by_corpus", "drops_by_reason", "scores_by_system")
# To an ASR every short clip costs as much as 30 seconds, and DNSMOS takes a tenth of real time: on the corpus that
# brings its texts the demo trusts them and measures signals only. LibriLight, which has none, gets everything.
_QUICK_STAGES = Stages(transcribe=Transcribe(check_given=False), quality=Quality(scorers=()))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Where everything lies after the demo, and what the catalogue says."""

    root: Path
    speeches: tuple[DemoSpeech, ...]
    reports: tuple[Path, ...]
    answers: dict[str, pa.Table]

    def describe(self) -> str:
        """What the command line prints at the end."""
        parts = [f"{named_query(name).question}\n{format_table(answer)}" for name, answer in self.answers.items()]
        parts.append(
            "\n".join(
                (
                    *(f"speech      {speech.path}  {speech.describe()}" for speech in self.speeches),
                    *(f"evaluation  {report}" for report in self.reports),
                    f"corpus      {self.root / 'reports' / 'corpus'}",
                    f"catalogue   {self.root / 'catalogue.duckdb'}",
                    f"lake        {self.root / 'lake'}",
                )
            )
        )
        return "\n\n".join(parts)


@flow(name="demo", flow_run_name="demo")
def demo(parameters: DemoParameters) -> DemoResult:
    """From raw audio to scores on the demo corpus; what is done already is not done again."""
    root = parameters.data_root
    prompt = next(clip.path for clip in demo_clips() if clip.split == HELD_OUT and 3 <= clip.duration <= 4)
    speeches = [speak_once(root, EMBEDDED, prompt)]
    layout = lay_out_demo(root.corpora / "demo")
    done: list[ShardReport] = []
    for corpus, stages in (
        (_corpus("librilight", layout.librilight), Stages()),
        (_corpus("emilia", layout.emilia), _QUICK_STAGES),
    ):
        done += prepare(
            PrepareParameters(data=parameters.data, corpus=corpus, stages=stages, workers=parameters.workers)
        )
    select(SelectParameters(data=parameters.data, selection=_selection(layout)))
    if is_finished(root.runs / "demo", parameters.train_steps, parameters.train_seconds):
        get_run_logger().info("train demo: nothing to do")
    else:
        train(TrainParameters(data=parameters.data, training_set="demo", run="demo", options=_settings(parameters)))
    speeches.append(speak_once(root, "demo", prompt))
    evaluations = [
        evaluate(
            EvaluateParameters(
                data=parameters.data,
                run=run,
                training_set="demo",
                count=parameters.evaluate_count,
                # Opinions on six systems would take longer than all the rest of the evaluation.
                scorers=(),
                workers=parameters.workers,
            )
        )
        for run in (EMBEDDED, "demo")
    ]
    with connect(root.lake.snapshot()) as connection:
        answers = {name: run_query(connection, named_query(name).sql) for name in _QUERIES}
        if done or not (root.reports / "corpus").exists():
            report = corpus_report(lambda name: run_query(connection, named_query(name).sql), root.reports / "corpus")
            publish_report("corpus", report.markdown_path, [plot.path for plot in report.plots])
    reports = tuple(evaluation.markdown_path for evaluation in evaluations)
    return DemoResult(root=root.root, speeches=tuple(speeches), reports=reports, answers=answers)


def _corpus(kind: CorpusKind, folder: Path) -> CorpusChoice:
    # Small shards, so that the demo has several of them.
    return CorpusChoice(kind=kind, root=folder, name=kind, options=CorpusOptions(shard_megabytes=4))


def _selection(layout: DemoLayout) -> Selection:
    held_out = ", ".join(f"'{speaker}'" for speaker in layout.held_out_speakers)
    return Selection(
        name="demo",
        where="num_unknown = 0",
        split_policy=SplitPolicy(dev=0.04, test=0.0, test_where=f"speaker IN ({held_out})"),
    )


def _settings(parameters: DemoParameters) -> TrainSettings:
    # Short prompts and a fast schedule: clips of two seconds, and minutes rather than days.
    return TrainSettings(
        engine="deepspeed",
        max_seconds=parameters.train_seconds,
        max_steps=parameters.train_steps,
        batch_tokens=3000,
        learning_rate=2e-3,
        warmup_steps=30,
        prompt_seconds=(1.0, 1.5),
        level_weights=(3, 1, 1, 1, 1, 1, 1, 1),
        threads=2,
        evaluate_every=100,
        save_every=100,
        # Guided by the text, and with no end before half of what it takes on average: a small model needs both.
        sampling=SamplingOptions(temperature=0.9, top_p=0.9, guidance=2.0, shortest=0.5, max_seconds=8),
    )
