"""The plan before the run: exact where the rows are there, estimated from what was measured where they are not."""

from pathlib import Path

import pytest

from tests.pipeline.prepared import QUICK, folder_corpus, run_pipeline, write_folder
from valle.stages.ingest import find_unread
from valle.stages.phonemize import Phonemize
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.transcribe import Transcribe
from valle.statistics.dry_run import Forecast, StageForecast, forecast
from warehouse.lake.tables import Lake


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), 6, per_voice=3)


@pytest.fixture(scope="module")
def lake(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    run_pipeline(folder_corpus(clips), lake)
    return lake


def _by_stage(found: Forecast) -> dict[str, StageForecast]:
    return {stage.stage: stage for stage in found.stages}


def test_a_finished_corpus_has_nothing_to_do(clips: Path, lake: Lake) -> None:
    unread = find_unread(folder_corpus(clips), lake)
    found = forecast(QUICK, "clips", lake, unread=unread)
    assert [(s.stage, s.rows, s.rows_done, s.size) for s in found.stages] == [
        (name, 0, 6, 0) for name in ("ingest", "segment", "transcribe", "phonemize", "quantize")
    ]
    assert found.notes == ()


def test_a_changed_option_redoes_what_follows_from_it_and_nothing_else(lake: Lake) -> None:
    stages = (Segment(), Transcribe(check_given=False, max_disagreement=0.3), Phonemize(), Quantize())
    before = lake.snapshot().versions
    found = _by_stage(forecast(stages, "clips", lake))
    assert {name: (stage.rows, stage.rows_redone) for name, stage in found.items()} == {
        "segment": (0, 0), "transcribe": (6, 6), "phonemize": (6, 6), "quantize": (0, 0),
    }  # fmt: skip
    assert found["transcribe"].reason.startswith("changed: max_disagreement ")
    assert found["phonemize"].reason == "transcribe is redone"
    assert found["segment"].reason == found["quantize"].reason == ""
    assert lake.snapshot().versions == before


def test_the_forecast_is_what_the_run_then_does(tmp_path: Path) -> None:
    lake, corpus = Lake(tmp_path / "lake"), folder_corpus(write_folder(tmp_path / "clips", 3))
    run_pipeline(corpus, lake)
    stages = (Segment(max_pause=0.4), *QUICK[1:])
    planned = {stage.stage: stage.rows for stage in forecast(stages, "clips", lake).stages}
    done = dict.fromkeys(planned, 0)
    for report in run_pipeline(corpus, lake, stages):
        done[report.stage] += report.rows_in
    assert planned == done
    assert sum(done.values()) == 12


def test_going_back_to_earlier_options_redoes_nothing(tmp_path: Path) -> None:
    lake, corpus = Lake(tmp_path / "lake"), folder_corpus(write_folder(tmp_path / "clips", 3))
    run_pipeline(corpus, lake, QUICK[:3])
    run_pipeline(corpus, lake, (*QUICK[:2], Phonemize(max_unknown=77)))
    found = _by_stage(forecast(QUICK, "clips", lake))["phonemize"]
    assert (found.rows, found.rows_done) == (0, 3)
    assert found.reason == "changed: max_unknown 77 -> " + repr(Phonemize().max_unknown)


def test_new_files_are_estimated_from_what_came_of_the_others(clips: Path, lake: Lake, tmp_path: Path) -> None:
    more = write_folder(tmp_path / "clips", 12, per_voice=6)
    corpus = folder_corpus(more, name="more")
    unread = find_unread(corpus, lake)
    assert unread.sources == 12 and unread.sources_read == 0
    found = forecast(QUICK, "more", lake, unread=unread)
    stages = _by_stage(found)
    assert 9 <= stages["segment"].rows <= 15
    assert 9 <= stages["quantize"].rows <= 15
    assert all(stage.work_seconds and stage.size for stage in found.stages)
    assert stages["quantize"].reason == "it has never run here"
    assert "The time of quantize was measured on another corpus." in found.notes


def test_before_anything_ran_the_time_is_unknown_and_the_assumptions_are_named(clips: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    found = forecast(QUICK, "clips", lake, unread=find_unread(folder_corpus(clips), lake))
    assert [stage.work_seconds for stage in found.stages] == [None] * 5
    assert found.table(width=1).to_pylist()[-1]["time"] == "?"
    assert found.notes[0].startswith("ingest has never run in this lake; assumed ")


def test_twice_the_workers_take_half_the_time(lake: Lake) -> None:
    found = forecast((Quantize(silence_level=-50.0),), "clips", lake)
    work = found.stages[0].work_seconds
    assert work is not None and work > 0
    assert found.stages[0].size == pytest.approx(lake.stored_bytes("codes"))
    doubled = StageForecast(
        stage="quantize", rows_done=0, rows=1, rows_redone=0, audio_seconds=3600.0, work_seconds=7200.0, size=2e9,
        reason="",
    )  # fmt: skip
    table = Forecast(corpus="c", stages=(doubled,), notes=()).table(width=2).to_pylist()
    assert [row["time"] for row in table] == ["1 h", "1 h"]
    assert [row["writes"] for row in table] == ["2 GB", "2 GB"]
