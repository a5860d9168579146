"""Prefect's UI in a browser: log in, prepare a corpus, read its report, train, cancel, evaluate.

`make e2e`. The tests follow each other on one server. Screenshots are kept in `build/screenshots`.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
import soundfile
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun

from flows.server.local_server import LocalServer
from flows.server.password import read_password
from manifests.demo.clips import HELD_OUT, demo_clips
from tests.local_server import processes_of_run, start, throwaway_server, wait_for_run, wait_until, words
from tests.pipeline.prepared import rows_of, write_folder
from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import latest_checkpoint
from valle.data_root import DataRoot
from valle.synthesis.synthesizer import Synthesizer

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs pip install '.[e2e]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
Desk = tuple[LocalServer, SyncPrefectClient, Any]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="the browser test needs chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Start a local server, a client and a browser that is logged in."""
    pages = import_module("tests.e2e.browser").PrefectPages
    data = tmp_path_factory.mktemp("e2e") / "data"
    with throwaway_server(data) as (server, client), playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        window = pages(page, server.url, SCREENSHOTS)
        window.log_in(read_password(server.home))
        yield server, client, window
        browser.close()


@pytest.fixture(autouse=True)
def last_look(desk: Desk, request: pytest.FixtureRequest) -> Iterator[None]:
    """Save a screenshot at the end of every test."""
    yield
    desk[2].shoot(f"end-of-{request.node.name}")


def only_run(client: SyncPrefectClient, flow: str) -> FlowRun:
    """Wait for the only run of a flow and return it."""
    deployment = client.read_deployment_by_name(f"{flow}/{flow}")
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
    (run,) = wait_until(lambda: client.read_flow_runs(flow_run_filter=wanted), 300)
    return run


def is_under_way(client: SyncPrefectClient, key: str) -> bool:
    """Return whether a progress artifact is between 0 and 100 %."""
    return any(one.key == key and 0 < float(str(one.data)) < 100 for one in client.read_artifacts())


def report_of_evaluation(client: SyncPrefectClient) -> str:
    """Return the key of the report of an evaluation."""
    return next(str(one.key) for one in client.read_artifacts() if str(one.key).startswith("report-evaluate-"))


def test_a_corpus_is_prepared_from_a_form_its_progress_seen_and_its_report_read(desk: Desk, tmp_path: Path) -> None:
    server, client, pages = desk
    clips = write_folder(tmp_path / "clips", 18, per_voice=3)
    pages.open_form("prepare")
    pages.choose("Layout of the corpus", "folder")
    pages.fill("Folder (or list) that holds it", str(clips))
    pages.fill("Name of the corpus in every table", "clips")
    pages.fill("Encoded audio in a shard", "0.06")
    pages.fill("an ISO 639-1 code", "en")
    pages.fill("an SPDX identifier", "Apache-2.0")
    pages.switch_on("audio file's folder as its speaker")
    pages.shoot("form")
    pages.submit()
    run = only_run(client, "prepare")
    wait_until(lambda: is_under_way(client, "progress-transcribe-clips"), 900)
    pages.open_run(run.id)
    pages.see_in_tab("Artifacts", "progress-transcribe-clips", 300)
    pages.shoot("progress")
    assert wait_for_run(client, run.id, 1500).state.is_completed()
    assert len(rows_of(DataRoot(server.data).lake, "utterances")) == 18
    pages.open_run(run.id)
    pages.see_state("Completed", 300)
    pages.shoot("prepared")
    pages.open_artifact("report-prepare-clips")
    pages.see("quantize", 120)
    pages.shoot("report")
    pages.see_picture("Durations of the utterances of clips.", 120)
    pages.shoot("report-plots")


def ranks_of_run(server: LocalServer, run: UUID) -> set[str]:
    """Return the numbers of the ranks that train in a run."""
    found = set()
    for process in processes_of_run(server, run):
        with suppress(psutil.Error):
            if "valle.training" in words(process):
                found.add(process.environ().get("RANK", "none"))
    return found - {"none"}


def test_two_ranks_are_started_from_a_form_and_cancelled_and_one_continues(desk: Desk) -> None:
    server, client, pages = desk
    data_root = DataRoot(server.data)
    made = start(client, "select/select", {"selection": {"name": "small", "split_policy": {"dev": 0.1, "test": 0.3}}})
    assert wait_for_run(client, made, 600).state.is_completed()
    pages.open_form("train")
    pages.choose("Name of the training set", "small")
    pages.fill("Name of the run", "browser")
    pages.choose("Size of the model", "nano")
    pages.choose("plain: one process", "deepspeed")
    pages.fill("Ranks of a machine", "2")
    pages.fill("Slots of a batch", "512")
    pages.fill("Updates between checkpoints", "5")
    pages.shoot("train-form")
    pages.submit()
    run = only_run(client, "train")
    checkpoint = wait_until(lambda: latest_checkpoint(data_root.runs / "browser"), 900)
    assert ranks_of_run(server, run.id) == {"0", "1"}
    pages.open_run(run.id)
    pages.see_state("Running", 300)
    pages.see("top-10", 300)  # a line of the trainer
    pages.shoot("training")
    pages.see_in_tab("Artifacts", "progress-train-browser", 300)
    pages.shoot("training-progress")
    pages.cancel_run()
    # `tests/faults/cancel.py` measures the seconds.
    wait_until(lambda: not processes_of_run(server, run.id), 600)
    assert wait_for_run(client, run.id, 600).state.is_cancelled()
    pages.see_state("Cancelled", 300)
    pages.shoot("cancelled")
    left = latest_checkpoint(data_root.runs / "browser")
    assert left is not None and left.name >= checkpoint.name
    card = read_card(left)
    assert card.ranks == 2
    assert Synthesizer.load(left, Backends()).codec.spec.name == "mini"
    # The rest on one rank: the same run continues, and an evaluation finds its end.
    options = {"model": "nano", "engine": "deepspeed", "batch_tokens": 512, "max_steps": card.step + 5}
    asked = {"training_set": "small", "run": "browser", "options": options, "evaluate": False}
    assert wait_for_run(client, start(client, "train/train", asked), 900).state.is_completed()
    ended = latest_checkpoint(data_root.runs / "browser")
    assert ended is not None
    assert (read_card(ended).step, read_card(ended).ranks) == (card.step + 5, 1)


def test_an_evaluation_is_started_from_a_form(desk: Desk) -> None:
    server, client, pages = desk
    pages.open_form("evaluate")
    pages.choose("Name of a training run", "browser")
    pages.fill("Utterances, spread over the speakers", "2")
    pages.submit()
    run = only_run(client, "evaluate")
    assert wait_for_run(client, run.id, 2400).state.is_completed()
    pages.open_run(run.id)
    pages.see_state("Completed", 300)
    pages.shoot("evaluated")
    pages.open_artifact(report_of_evaluation(client))
    pages.see("ground_truth", 120)
    pages.shoot("evaluation")
    assert {"ground_truth", "codec"} < {row["system"] for row in rows_of(DataRoot(server.data).lake, "scores")}


def test_a_recording_is_denoised_from_a_form_and_its_table_read(desk: Desk, tmp_path: Path) -> None:
    server, client, pages = desk
    noisy = tmp_path / "noisy.ogg"
    shutil.copy(next(clip.path for clip in demo_clips() if clip.split == HELD_OUT), noisy)
    pages.open_form("speech-task")
    pages.choose("Work to do", "denoise")
    pages.fill("Audio files on the machine of the worker", str(noisy))
    pages.shoot("task-form")
    pages.submit()
    run = only_run(client, "speech-task")
    assert wait_for_run(client, run.id, 900).state.is_completed()
    (made,) = (DataRoot(server.data).speech / "tasks").glob("denoise-*/noisy.*")
    assert soundfile.info(made).duration > 0.5
    pages.open_artifact("task-denoise")
    pages.see(made.name, 120)
    pages.shoot("task")
