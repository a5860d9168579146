"""The real command under signals: it ends soon with one sentence, and the next run does the rest."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from flows.runtime.shutdown import STOPPED
from tests.pipeline.prepared import folder_corpus, part_names, rows_of, run_pipeline, tables_of, write_folder
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

ROOT = Path(__file__).parents[2]
VALLE = [sys.executable, "-c", "import sys; from valle.cli import main; sys.exit(main())"]
# As in `tests.pipeline.prepared.QUICK`: no ASR has to listen.
QUICK = ["--stages.transcribe.no-check-given", "--stages.quality.scorers", "[]"]
NUM_CLIPS = 24
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), NUM_CLIPS)


@pytest.fixture(scope="module")
def expected(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("expected"))
    run_pipeline(folder_corpus(clips, shard_megabytes=0.4), lake)
    return lake


@pytest.fixture
def environment(prefect_server: None) -> dict[str, str]:
    return os.environ | {
        "PREFECT_API_URL": PREFECT_API_URL.value(),
        "OMP_NUM_THREADS": "1",
        "PREFECT_LOGGING_LEVEL": "INFO",
    }


def options(clips: Path, data: Path, *more: str, shard_megabytes: float = 0.4) -> list[str]:
    corpus = ["--corpus.kind", "folder", "--corpus.root", str(clips), "--corpus.name", "clips"]
    said = ["--corpus.options.language", "en", "--corpus.options.licence", "Apache-2.0"]
    layout = ["--corpus.options.speaker-from-folder", "--corpus.options.shard-megabytes", str(shard_megabytes)]
    return [*corpus, *said, *layout, "--data", str(data), *more]


def newest_state(name: str) -> str:
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.name == name]
    return max(runs, key=lambda run: run.expected_start_time).state.type.value  # type: ignore[union-attr, arg-type, return-value]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_shard_ends_the_run_soon_and_the_next_run_does_the_rest(
    clips: Path, expected: Lake, environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    # The ASR has to listen to all of a shard here, which takes longer than the signal leaves.
    running = subprocess.Popen(
        [*VALLE, "prepare", *options(clips, tmp_path, shard_megabytes=64)],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
        # A suite that a shell started in the background hands on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stderr is not None
    before: list[str] = []
    while not any("transcribe clips: 0.0 %" in line for line in before[-1:]):
        before.append(running.stderr.readline())
        assert before[-1], f"it ended by itself: {before}"
    time.sleep(0.5)
    running.send_signal(number)
    after = running.stderr.read()
    code = running.wait()
    assert code == 128 + number, after
    # The sentence of the command that leaves its shards; one that waits for them ends without it.
    assert after.count(STOPPED) == 1
    assert "Traceback" not in after
    assert newest_state("prepare clips") == "CRASHED"
    stopped = Lake(tmp_path / "lake")
    assert (rows_of(stopped, "transcripts"), len(rows_of(stopped, "segments"))) == ([], NUM_CLIPS)
    if number == signal.SIGINT:
        return  # the rest is the same
    subprocess.run(
        [*VALLE, "prepare", *options(clips, tmp_path, *QUICK, shard_megabytes=64)],
        cwd=ROOT, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    assert _without_shards(tables_of(stopped)) == _without_shards(tables_of(expected))
    assert fsck(stopped).is_sound


def _without_shards(tables: dict[str, list[dict[str, object]]]) -> dict[str, list[dict[str, object]]]:
    return {
        name: sorted(({key: row[key] for key in row if key != "shard"} for row in rows), key=str)
        for name, rows in tables.items()
    }


@pytest.mark.parametrize(("kills", "count"), [(3, 9), pytest.param(6, NUM_CLIPS, marks=pytest.mark.long)])
def test_a_flow_that_is_killed_again_and_again_ends_where_an_uninterrupted_pipeline_does(
    environment: dict[str, str], tmp_path: Path, kills: int, count: int
) -> None:
    clips, expected = write_folder(tmp_path / "clips", count), Lake(tmp_path / "expected")
    run_pipeline(folder_corpus(clips), expected)
    asked = options(clips, tmp_path, *QUICK, shard_megabytes=0.08)
    answer = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.killed_flow", str(kills), *asked],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert int(answer.stdout.splitlines()[-1]) >= kills // 2, "too few kills met a running process"
    killed = Lake(tmp_path / "lake")
    assert tables_of(killed) == tables_of(expected)
    assert part_names(killed, "codes") == part_names(expected, "codes")
    assert fsck(killed).is_sound
