"""The flows under a real Prefect server: raw audio in, a trained model, speech and scores out, artifacts in the UI."""

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact

from flows.evaluate import evaluate
from flows.ingest import ingest
from flows.parameters import (
    CorpusChoice,
    EvaluateParameters,
    IngestParameters,
    PrepareParameters,
    QuantizeParameters,
    SegmentParameters,
    SelectParameters,
    Stages,
    TrainParameters,
    Workers,
)
from flows.prepare import prepare
from flows.select import select
from flows.stages import quantize, segment
from flows.training.train import train
from manifests.corpus import CorpusOptions
from tests.artifacts import pictures_of
from tests.pipeline.prepared import by_stage, rows_of, write_folder
from valle.data.selection.options import Selection
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.stages.quality import Quality
from valle.stages.transcribe import Transcribe
from valle.synthesis.options import SamplingOptions
from valle.training.options import TrainSettings
from warehouse.catalogue.views import connect, run_query
from warehouse.tools.sql_page import questions

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


async def _artifacts() -> list[Artifact]:
    async with get_client() as client:
        return await client.read_artifacts()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    return tmp_path_factory.mktemp("flows")


def _parameters(data: Path, workers: Workers | None = None) -> PrepareParameters:
    corpus = CorpusChoice(
        kind="folder",
        root=data / "clips",
        name="clips",
        options=CorpusOptions(language="en", licence="Apache-2.0", speaker_from_folder=True, shard_megabytes=0.08),
    )
    stages = Stages(transcribe=Transcribe(check_given=False), quality=Quality(scorers=()))
    return PrepareParameters(data=data, corpus=corpus, stages=stages, workers=workers or Workers(width=2))


def test_the_whole_pipeline_runs_as_flows_and_a_second_run_has_nothing_to_do(data: Path) -> None:
    write_folder(data / "clips", 12, per_voice=2)
    done = by_stage(prepare(_parameters(data)))
    assert done == dict.fromkeys(
        ("ingest", "segment", "transcribe", "phonemize", "quality", "speakers", "quantize"), 12
    )
    assert prepare(_parameters(data)) == []

    policy = SplitPolicy(dev=0.1, test=0.3)
    card = select(SelectParameters(data=data, selection=Selection(name="small", split_policy=policy)))
    assert sum(card.utterances.values()) == 12

    settings = TrainSettings(max_steps=4, batch_tokens=512, evaluate_every=4, save_every=4, warmup_steps=1, threads=1)
    trained = train(TrainParameters(data=data, training_set="small", run="short", options=settings))
    assert trained.step == 4

    asked = EvaluateParameters(data=data, run="short", count=2, sampling=SamplingOptions(max_seconds=2))
    report = evaluate(asked)
    scores = rows_of(DataRoot(data).lake, "scores")
    assert {row["system"] for row in scores} == {
        "ground_truth", "codec", "prompt_copied", "shuffled_speaker", "espeak", trained.checkpoint_id,
    }  # fmt: skip
    truth = [row for row in scores if row["system"] == "ground_truth"]
    assert sum(row["word_errors"] for row in truth) <= 0.3 * sum(row["num_words"] for row in truth)  # type: ignore[misc]
    assert "ground_truth" in report.markdown_path.read_text(encoding="utf-8")
    assert report.page_path is not None
    page = report.page_path.read_text(encoding="utf-8")
    players = re.findall(r'<audio src="([^"]+)"', page)
    assert len(players) == sum(row["path"] is not None for row in scores) >= 10
    assert all((report.page_path.parent / unquote(player)).is_file() for player in players)
    assert "<h2>Leaderboard</h2>" in page and "<h2>Contamination</h2>" in page
    registered = rows_of(DataRoot(data).lake, "evaluation_items")
    assert {row["utterance"] for row in registered} == {row[role] for row in truth for role in ("utterance", "prompt")}
    spoken = rows_of(DataRoot(data).lake, "(SELECT DISTINCT r.path FROM codes c JOIN segments s USING (segment_id) "
                     "JOIN recordings r USING (recording_id) WHERE r.origin = 'generated')")  # fmt: skip
    assert any(f"/{trained.checkpoint_id}/" in str(row["path"]) for row in spoken)
    again = evaluate(asked)
    assert again.markdown_path == report.markdown_path
    assert rows_of(DataRoot(data).lake, "scores") == scores

    lineage = rows_of(DataRoot(data).lake, "(SELECT s.system, i.licence FROM scores s JOIN checkpoints c USING "
                      "(checkpoint_id) JOIN training_items i USING (training_set))")  # fmt: skip
    assert {row["licence"] for row in lineage} == {"Apache-2.0"}
    page = questions((ROOT / "docs" / "sql.md").read_text(encoding="utf-8"))
    with connect(DataRoot(data).lake.snapshot()) as connection:
        sql = next(question.sql for question in page if "licences is a score based on" in question.heading)
        sources = run_query(connection, sql)
    assert [(row["run_id"], row["corpus"], row["licence"], row["files"]) for row in sources.to_pylist()] == [
        ("short", "clips", "Apache-2.0", card.utterances["train"])
    ]


def test_the_run_left_progress_a_report_and_plots_as_artifacts(data: Path) -> None:
    found = asyncio.run(_artifacts())
    kinds = {artifact.type for artifact in found}
    keys = {artifact.key for artifact in found}
    assert {"progress", "markdown", "image"} <= kinds
    assert {"report-prepare-clips", "progress-quantize-clips", "training-set-small"} <= keys
    finished = {artifact.key: artifact.data for artifact in found if str(artifact.key).startswith("progress-")}
    assert finished["progress-quantize-clips"] == pytest.approx(100.0)
    assert finished["progress-train-short"] == pytest.approx(100.0)


def test_the_report_of_an_evaluation_shows_its_plots(data: Path) -> None:
    found = {artifact.key: str(artifact.data) for artifact in asyncio.run(_artifacts()) if artifact.key}
    report = next(text for key, text in found.items() if key.startswith("report-evaluate-short-"))
    plots = {key: text for key, text in found.items() if key.startswith("plot-evaluate-short-")}
    assert sorted(pictures_of(report)) == sorted(plots.values())
    assert len(plots) == 3
    assert any(key.endswith("-wer-similarity") for key in plots)
    assert "](plots/" not in report
    (page,) = re.findall(r"sortable and with players: `([^`]+)`", report)
    assert Path(page).name == "report.html" and Path(page).is_file()


@pytest.mark.long
def test_processes_do_what_threads_do(data: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "clips", 6, per_voice=3)
    chosen = _parameters(tmp_path, Workers(runner="processes", width=2))
    # The first stage and one with a model: every stage starts its processes anew, which takes seconds.
    ingested = ingest(IngestParameters(data=tmp_path, corpus=chosen.corpus, workers=chosen.workers))
    segment(SegmentParameters(data=tmp_path, corpus="clips"))
    quantized = quantize(QuantizeParameters(data=tmp_path, corpus="clips", workers=chosen.workers))
    assert by_stage([*ingested, *quantized]) == {"ingest": 6, "quantize": 6}


def test_every_flow_has_a_deployment_whose_parameters_it_accepts() -> None:
    from importlib import import_module

    from prefect import Flow

    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    names = {deployment["name"] for deployment in deployments}
    assert {"prepare", "ingest", "segment", "transcribe", "align", "phonemize", "quality", "speakers", "quantize",
            "select", "train", "evaluate", "demo"} <= names  # fmt: skip
    for deployment in deployments:
        path, name = deployment["entrypoint"].split(":")
        flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
        assert isinstance(flow, Flow)
        assert flow.validate_parameters(deployment["parameters"]), json.dumps(deployment)
