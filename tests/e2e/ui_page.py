"""A page of `valle ui` in a browser, and a data root with something of everything that it shows."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from manifests.demo.clips import demo_clips
from tests.pipeline.prepared import folder_corpus, run_pipeline, write_folder
from tests.unit.synthesis.toy import toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.cli.start_training import TrainCommand
from valle.codec import open_codec
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.phonemes import phoneme_table
from valle.serving.server import open_speaker
from valle.ui.app import USER, build_page
from valle.ui.options import UiOptions
from warehouse.model_rows import ScoreRow

PASSWORD = "secret-of-this-test"
SYSTEMS = ("alpha", "beta")


def write_data(root: DataRoot) -> None:
    """Prepare eight clips, select a training set of them, write metrics of a run and scores of two systems."""
    run_pipeline(folder_corpus(write_folder(root.root / "clips", 8, per_voice=4)), root.lake)
    select(
        Selection(name="small", split_policy=SplitPolicy(dev=0, test=0)),
        root,
        codec=open_codec("mini").spec,
        phoneme_symbols=phoneme_table().symbols,
    )
    run = root.runs / "tiny"
    run.mkdir(parents=True)
    lines = [{"step": step, "loss": 7 / step, "loss_ar": 8 / step, "loss_nar": 6 / step} for step in range(1, 20)]
    run.joinpath("metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    root.lake.append(ScoreRow, list(_scores(root)), "scores-of-the-test")


def _scores(root: DataRoot) -> Iterator[ScoreRow]:
    for number, clip in enumerate(list(demo_clips())[:4]):
        for system in SYSTEMS:
            path = root.root / "speech" / f"{system}-{number}{clip.path.suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(clip.path.read_bytes())
            yield ScoreRow(
                score_id=f"{system}/{number}",
                evaluation="test",
                protocol="cross_sentence",
                system=system,
                checkpoint_id=None,
                utterance=f"utterance-{number}",
                prompt=None,
                trial=0,
                speaker=f"speaker-{number % 2}",
                path=str(path.relative_to(root.root)),
                duration=clip_seconds(clip),
                reference=clip.text.lower(),
                hypothesis=clip.text.lower(),
                normaliser="basic",
                asr_model="asr",
                num_words=4,
                word_errors=number % 2,
                num_characters=20,
                character_errors=0,
                speaker_model="encoder",
                sim_o=0.5,
                generation_seconds=1.0,
                scored_at=datetime.now(UTC),
            )


def clip_seconds(clip: Any) -> float:
    """Return the duration of a clip of the demo."""
    import soundfile

    return float(soundfile.info(clip.path).duration)


def write_untrained(folder: Path) -> Path:
    """Write a checkpoint with random weights whose card claims that it has learnt every task on recordings."""
    learnt = {f"{name}_ratio": 0.1 for name in ("editing", "suppression", "extraction", "conversion", "removal")}
    card = replace(toy_card(open_codec("mini").spec, phoneme_table().symbols), options=learnt)
    folder.mkdir()
    write_model(folder, card, untrained_model(card).state_dict())
    return folder


@contextmanager
def opened_page(driver: Any, executable: str, options: dict[str, Any], root: DataRoot) -> Iterator[Any]:
    """Serve the page of a data root in a thread and yield a browser page that is logged in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = UiOptions(data=root.root, port=port, watermark=False, **options)
    app = build_page(open_speaker(given), given, PASSWORD, TrainCommand(root))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(240_000)
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()
    page.locator("#speak").wait_for()
    try:
        yield page
    finally:
        browser.close()
        server.should_exit = True
        thread.join(30)
