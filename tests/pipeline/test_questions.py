"""The questions before, during and after a run: the plan, the report, the progress, and any question in SQL."""

import asyncio
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact
from pydantic import ValidationError

from flows.corpus_report import corpus_report
from flows.parameters import (
    CorpusChoice,
    CorpusReportParameters,
    PlanParameters,
    PrepareParameters,
    QueryParameters,
    Stages,
)
from flows.plan import plan
from flows.prepare import prepare
from flows.query import query
from flows.runtime.artifacts import publish_card
from manifests.corpus import CorpusOptions
from tests.artifacts import pictures_of
from tests.pipeline.prepared import write_folder
from valle.data_root import DataRoot
from valle.stages.quality import Quality
from valle.stages.transcribe import Transcribe
from warehouse.errors import CatalogueError

pytestmark = pytest.mark.slow


def _artifacts() -> dict[str, Artifact]:
    async def read() -> list[Artifact]:
        async with get_client() as client:
            return await client.read_artifacts()

    return {artifact.key: artifact for artifact in asyncio.run(read()) if artifact.key is not None}


def _parameters(data: Path, transcribe: Transcribe | None = None) -> PrepareParameters:
    corpus = CorpusChoice(
        kind="folder",
        root=data / "clips",
        name="asked",
        options=CorpusOptions(language="en", licence="Apache-2.0", speaker_from_folder=True, shard_megabytes=0.08),
    )
    stages = Stages(transcribe=transcribe or Transcribe(check_given=False), quality=Quality(scorers=()))
    return PrepareParameters(data=data, corpus=corpus, stages=stages)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    root = tmp_path_factory.mktemp("questions")
    write_folder(root / "clips", 6, per_voice=3)
    prepare(_parameters(root))
    return root


def test_the_report_of_a_run_shows_yield_standing_plots_and_the_way_on(data: Path) -> None:
    found = _artifacts()
    report = str(found["report-prepare-asked"].data)
    assert "| quantize | " in report and "| 100.0 % |" in report
    assert "## Coverage of asked" in report
    assert "There is no dataset card for corpora of kind folder." in report
    assert "Next: `valle stats`" in report
    standing = [line.split(" ")[1] for line in report.splitlines() if line.endswith(" | 6 | 6 | 0 | 100 % |")]
    assert standing == ["transcribe", "phonemize", "quality", "speakers", "quantize"]
    plots = [found[f"plot-prepare-asked-{name}"] for name in ("durations", "quality-histogram", "code-usage")]
    assert pictures_of(report) == [str(plot.data) for plot in plots]


def test_the_progress_of_a_stage_says_percent_rate_and_time_left(data: Path) -> None:
    progress = _artifacts()["progress-quantize-asked"]
    assert progress.data == pytest.approx(100.0)
    pattern = r"done: [\d,]+ of [\d,]+ s of audio, [\d,.]+ a second"
    assert re.fullmatch(pattern, str(progress.description))


def test_a_report_links_to_the_card_of_its_corpus(data: Path) -> None:
    sentence = flow(publish_card)("librilight")
    assert "(/artifacts/key/dataset-card-librilight)" in sentence
    assert "LibriLight" in str(_artifacts()["dataset-card-librilight"].data).replace("Libri-light", "LibriLight")


def test_a_plan_says_what_a_changed_option_would_redo_and_changes_nothing(data: Path) -> None:
    lake = DataRoot(data).lake
    before = lake.snapshot().versions
    changed = _parameters(data, Transcribe(check_given=False, max_disagreement=0.3))
    found = plan(PlanParameters(**dict(changed)))
    redone = {stage.stage: stage.rows_redone for stage in found.stages}
    assert redone == dict.fromkeys(("ingest", "segment", "quality", "speakers", "quantize"), 0) | dict.fromkeys(
        ("transcribe", "phonemize"), 6
    )
    text = str(_artifacts()["plan-asked"].data)
    assert "changed: max_disagreement" in text and "Times are for 1 at a time" in text
    assert lake.snapshot().versions == before


def test_a_question_in_sql_is_a_table_in_the_ui_and_a_file(data: Path) -> None:
    sql = "SELECT speaker, count(*) AS clips, list(duration) AS seconds FROM utterances GROUP BY 1"
    path = query(QueryParameters(data=data, sql=sql, name="voices"))
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
    table = _artifacts()["query-voices"]
    assert table.type == "table"
    assert [row["clips"] for row in json.loads(str(table.data))] == [3, 3]
    kept = query(QueryParameters(data=data, query="hours_by_corpus", format="parquet"))
    assert pq.read_table(kept)["corpus"].to_pylist() == ["asked"]


def test_a_question_must_be_one_and_must_not_change_anything(data: Path) -> None:
    with pytest.raises(ValidationError, match="either `sql` or a named `query`"):
        QueryParameters(sql="SELECT 1", query="licences")
    with pytest.raises(CatalogueError, match="one SELECT"):
        query(QueryParameters(data=data, sql="CREATE TABLE x AS SELECT 1"))


def test_the_corpus_report_puts_tables_and_plots_in_the_ui(data: Path) -> None:
    corpus_report(CorpusReportParameters(data=data))
    found = _artifacts()
    text = str(found["report-corpus"].data)
    assert "## Hours by corpus" in text
    plots = {str(found[key].data) for key in ("plot-corpus-durations", "plot-corpus-hours-by-corpus")}
    assert plots <= set(pictures_of(text))
