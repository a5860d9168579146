"""The demo: the pipeline on two small corpora and with small models that come with the project."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from prefect import flow

from flows.demo_speech import DIGITS, OPEN_TEXT, DemoSpeech, speak_once
from flows.parameters import (
    CorpusChoice,
    DemoParameters,
    EvaluateParameters,
    PrepareParameters,
    SelectParameters,
    Stages,
    TrainParameters,
)
from flows.runtime.artifacts import publish_report
from flows.runtime.notices import notify
from flows.runtime.where import call
from flows.select import select
from flows.training.train import is_finished, train
from manifests.corpus import CorpusKind, CorpusOptions
from manifests.demo.clips import HELD_OUT, demo_clips
from manifests.demo.layout import DemoLayout, lay_out_demo
from valle.checkpoints.runs import EMBEDDED
from valle.data.selection.options import Selection
from valle.data.selection.splits import SplitPolicy
from valle.stages.quality import Quality
from valle.stages.transcribe import Transcribe
from valle.statistics.corpus_report import corpus_report
from valle.synthesis.options import SamplingOptions
from valle.training.options import TrainSettings
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, named_query, run_query
from warehouse.shard_runs import ShardReport

_WIDTH = 100
# Named queries of the summary, with the columns that it shows.
_COLUMNS = {
    "hours_by_corpus": ["corpus", "recordings", "segments", "utterances", "speakers", "usable_hours", "usable_share"],
    "drops_by_reason": ["stage", "corpus", "drop_reason", "rows_dropped", "hours"],
    "scores_by_system": ["evaluation", "system", "scores", "wer_micro", "sim_o", "missing"],
}
# An ASR needs as long for a short clip as for 30 seconds, and DNSMOS a tenth of real time: on the corpus with given
# texts the demo checks no text and measures signals only. LibriLight, which has no texts, gets all stages.
_QUICK_STAGES = Stages(transcribe=Transcribe(check_given=False), quality=Quality(scorers=()))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Files of the demo, and answers of the catalogue."""

    root: Path
    speeches: tuple[DemoSpeech, ...]
    reports: tuple[Path, ...]
    answers: dict[str, pa.Table]

    def describe(self) -> str:
        """Return the summary that `valle demo` prints; lines are at most 100 characters long."""
        tables = [_summary(name, answer) for name, answer in self.answers.items()]
        speech = "\n".join(
            line
            for speech in self.speeches
            for line in textwrap.wrap(f"speech      {self._relative(speech.path)}", _WIDTH, break_on_hyphens=False)
            + textwrap.wrap(speech.describe(), _WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 12)
        )
        files = "\n".join(
            (
                *(f"evaluation  {self._relative(report)}" for report in self.reports),
                "corpus      reports/corpus",
                "catalogue   catalogue.duckdb",
                "lake        lake",
            )
        )
        return "\n\n".join([*tables, f"In the data root {self.root}:\n\n{speech}\n{files}"])

    def _relative(self, path: Path) -> Path:
        return path.relative_to(self.root) if path.is_relative_to(self.root) else path


@flow(name="demo", flow_run_name="demo")
def demo(parameters: DemoParameters) -> DemoResult:
    """Run the pipeline from raw audio to scores on the demo corpora; skip what exists."""
    root = parameters.data_root
    prompt = next(clip.path for clip in demo_clips() if clip.split == HELD_OUT and 3 <= clip.duration <= 4)
    speeches = [call(speak_once, root, EMBEDDED, OPEN_TEXT, prompt)]
    layout = lay_out_demo(root.corpora / "demo")
    done: list[ShardReport] = []
    # Loaded after the first speech, which a newcomer waits for.
    from flows.evaluate import evaluate
    from flows.prepare import prepare

    for corpus, stages in (
        (_corpus("librilight", layout.librilight), Stages()),
        (_corpus("emilia", layout.emilia), _QUICK_STAGES),
    ):
        done += call(
            prepare, PrepareParameters(data=parameters.data, corpus=corpus, stages=stages, workers=parameters.workers)
        )
    call(select, SelectParameters(data=parameters.data, selection=_selection(layout)))
    if is_finished(root.runs / "demo", parameters.train_steps, parameters.train_seconds):
        notify("train demo: nothing to do")
    else:
        settings = _settings(parameters)
        call(train, TrainParameters(data=parameters.data, training_set="demo", run="demo", options=settings))
    speeches.append(call(speak_once, root, "demo", DIGITS, prompt))
    evaluations = [
        call(
            evaluate,
            EvaluateParameters(
                data=parameters.data,
                run=run,
                training_set="demo",
                count=parameters.evaluate_count,
                # Naturalness of six systems would cost more than all the rest of the evaluation.
                scorers=(),
                workers=parameters.workers,
            ),
        )
        for run in (EMBEDDED, "demo")
    ]
    with connect(root.lake.snapshot()) as connection:
        answers = {name: run_query(connection, named_query(name).sql) for name in _COLUMNS}
        if done or not (root.reports / "corpus").exists():
            report = corpus_report(lambda name: run_query(connection, named_query(name).sql), root.reports / "corpus")
            publish_report("corpus", report.markdown_path, [plot.path for plot in report.plots])
    reports = tuple(evaluation.markdown_path for evaluation in evaluations)
    return DemoResult(root=root.root, speeches=tuple(speeches), reports=reports, answers=answers)


def _summary(name: str, answer: pa.Table) -> str:
    """Format the question of a named query and the columns of its answer that fit."""
    question = textwrap.fill(named_query(name).question, _WIDTH)
    return f"{question}\n{format_table(answer.select(_COLUMNS[name]))}"


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
        codebook_weights=(3, 1, 1, 1, 1, 1, 1, 1),
        threads=2,
        evaluate_every=100,
        save_every=100,
        # A small model needs guidance, and a minimum of half the average duration.
        sampling=SamplingOptions(temperature=0.9, top_p=0.9, guidance=2.0, min_duration_ratio=0.5, max_seconds=8),
    )
