"""`valle ui` in a browser: speak with an uploaded prompt, bytes before the end, SQL, curves. `make e2e`."""

import json
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from manifests.demo.clips import demo_clips
from valle.synthesis.options import SamplingOptions
from valle.ui.app import USER, build_page
from valle.ui.options import UiOptions

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs pip install '.[e2e]'")
pytest.importorskip("gradio", reason="the page needs pip install '.[ui]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PASSWORD = "secret-of-this-test"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="the browser test needs chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from valle.serving.server import open_speaker

    data = tmp_path_factory.mktemp("data")
    run = data / "runs" / "tiny"
    run.mkdir(parents=True)
    run.joinpath("metrics.jsonl").write_text(
        "".join(json.dumps({"step": step, "loss": 7 / step}) + "\n" for step in range(1, 20))
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = UiOptions(data=data, port=port, run="english", watermark=False)
    app = build_page(open_speaker(options), options, PASSWORD)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_label("Username").fill(USER)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Login").click()
        page.locator("#speak").wait_for()
        yield page
        browser.close()
    server.should_exit = True


def shoot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"ui-{name}.png")


def test_a_text_is_spoken_in_the_voice_of_an_uploaded_prompt_and_bytes_arrive_before_the_end(page):
    page.locator("#prompt input[type=file]").set_input_files(next(demo_clips()).path)
    page.locator("#prompt audio, #prompt .waveform-container").first.wait_for(state="attached")
    page.locator("#text textarea").fill("Seven two nine. One four six. Three five eight.")
    page.locator("#speak").click()
    page.get_by_text("Confirm that the speaker of the prompt agreed").wait_for()
    page.locator("#consent input").check()
    # The page's own request is answered by the test, so that the arrival of each piece is seen.
    page.route("**/speech/*", lambda route: route.abort())
    page.locator("#speak").click()
    audio = page.locator("#player audio")
    audio.wait_for(state="attached")
    page.unroute("**/speech/*")
    times = page.evaluate(
        """async (source) => {
            const reader = (await fetch(source)).body.getReader(), times = [];
            for (;;) {
                const {done, value} = await reader.read();
                if (done) return times;
                times.push([performance.now(), value.length]);
            }
        }""",
        audio.get_attribute("src"),
    )
    assert sum(size for _, size in times) > 5_000
    assert len(times) > 3
    assert times[-1][0] - times[1][0] > 200
    shoot(page, "speak")


def test_sql_answers_and_its_error_is_a_sentence(page):
    page.get_by_role("tab", name="Data").click()
    page.locator("#sql .cm-content").fill("SELECT 'row ' || range AS name FROM range(3)")
    page.locator("#run").click()
    page.locator("#answer").get_by_text("row 2").first.wait_for()
    shoot(page, "data")


def test_curves_of_a_run_are_shown(page):
    page.get_by_role("tab", name="Training").click()
    page.get_by_text("Step 19 of tiny.").wait_for()
    shoot(page, "training")


def test_sampling_fields_come_from_their_model(page):
    page.get_by_role("tab", name="Speak").click()
    page.get_by_text("Sampling", exact=True).click()
    description = SamplingOptions.model_fields["top_p"].description
    page.get_by_text(description).first.wait_for()
    shoot(page, "sampling")
