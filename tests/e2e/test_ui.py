"""`valle ui` in a browser: speak, edit a word, mark a segment, train, compare blindly. `make e2e`.

Screenshots are kept in `build/screenshots`.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from manifests.demo.clips import demo_clips
from tests.local_server import wait_until
from tests.pipeline.prepared import rows_of
from valle.checkpoints.runs import latest_checkpoint
from valle.data_root import DataRoot
from valle.synthesis.options import SamplingOptions

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs pip install '.[e2e]'")
pytest.importorskip("gradio", reason="the page needs pip install '.[ui]'")
# Below the check, since they import the package that may be absent.
from tests.e2e.ui_page import SYSTEMS, opened_page, write_data, write_untrained  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CHROMIUM, reason="the browser test needs chromium: apt-get install chromium"),
]
CLIP = next(demo_clips())


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with playwright.sync_playwright() as opened:
        yield opened


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    made = DataRoot(tmp_path_factory.mktemp("data"))
    write_data(made)
    return made


@pytest.fixture(scope="module")
def page(driver: Any, root: DataRoot) -> Iterator[Any]:
    with opened_page(driver, CHROMIUM, {"run": "english"}, root) as opened:
        yield opened


@pytest.fixture(scope="module")
def untrained(driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page whose checkpoint has learnt the tasks on recordings by name only: its new words are noise."""
    made = DataRoot(tmp_path_factory.mktemp("untrained"))
    checkpoint = write_untrained(made.root / "checkpoint")
    with opened_page(driver, CHROMIUM, {"checkpoint": checkpoint}, made) as opened:
        yield opened


def shoot(page: Any, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(700)
    page.screenshot(path=SCREENSHOTS / f"ui-{name}.png")


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def upload(page: Any, name: str) -> None:
    page.locator(f"#{name} input[type=file]").set_input_files(CLIP.path)
    page.locator(f"#{name} audio, #{name} .waveform-container").first.wait_for(state="attached")


def has_audio(page: Any, name: str) -> None:
    page.locator(f"#{name} audio, #{name} .waveform-container").first.wait_for(state="attached")


def give_prompt(page: Any) -> None:
    """Upload a prompt with its consent, unless an earlier test has: the similarity of candidates is to the prompt."""
    if not page.locator("#prompt audio, #prompt .waveform-container").count():
        upload(page, "prompt")
    page.locator("#consent input").check()


def field(page: Any, label: str) -> Any:
    """Find the input of a component by its label."""
    title = page.locator("[data-testid=block-info]", has_text=re.compile(rf"^\s*{label}\s*$"))
    return page.locator(".block").filter(has=title).last.locator("input, textarea").first


def shown(page: Any, table: str, text: str) -> Any:
    """Find a cell of a table; tables have an invisible copy of some rows, by which they measure their columns."""
    return page.locator(f"#{table}").get_by_text(text).locator("visible=true").first


def test_a_text_is_spoken_in_the_voice_of_an_uploaded_prompt_and_bytes_arrive_before_the_end(page: Any) -> None:
    upload(page, "prompt")
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


def test_candidates_have_scores_and_pictures_and_a_preset_fills_the_sampler(page: Any) -> None:
    page.locator("#preset input").click()
    page.get_by_role("option", name="steady: likely codes only").click()
    page.get_by_role("button", name="Sampler").click()
    description = SamplingOptions.model_fields["top_p"].description
    page.get_by_text(description).first.wait_for()
    playwright.expect(field(page, "top p")).to_have_value("0.9")
    page.get_by_role("button", name="Sampler").click()
    give_prompt(page)
    page.locator("#text textarea").fill("Seven two nine.")
    page.locator("#candidates").click()
    for number in (1, 2, 3):
        page.get_by_text(f"Candidate {number}: WER").first.wait_for()
        page.locator(f"#plot-{number} img").wait_for()
    assert page.get_by_text("similarity").count() >= 3
    shoot(page, "speak")


def test_a_segment_is_found_by_a_filter_played_and_marked_as_bad_with_a_row(page: Any, root: DataRoot) -> None:
    open_tab(page, "Data")
    page.locator("#sql .cm-content").fill("SELECT 'row ' || range AS name FROM range(3)")
    page.locator("#run").click()
    shown(page, "answer", "row 2").wait_for()
    first = rows_of(root.lake, "utterances")[0]
    segment = str(first["segment_id"])
    page.locator("#contains textarea, #contains input").first.fill(str(first["text"]))
    page.locator("#sql").get_by_text("contains(lower(text)").wait_for()
    page.locator("#run").click()
    shown(page, "answer", segment).click()
    page.locator("#facts").get_by_text("phonemes").wait_for()
    has_audio(page, "played")
    page.locator("#note textarea, #note input").first.fill("a door slams")
    page.locator("#bad").click()
    page.locator("#facts").get_by_text("a door slams").wait_for()
    shoot(page, "data")
    (row,) = rows_of(root.lake, "reviews")
    assert (row["segment_id"], row["verdict"], row["note"]) == (segment, "bad", "a door slams")


def test_a_training_is_started_followed_and_ended_from_the_page(page: Any, root: DataRoot) -> None:
    open_tab(page, "Training")
    page.get_by_role("button", name="Start a run").click()
    page.locator("#set input").fill("small")
    page.locator("#set input").press("Enter")
    page.locator("#run-name textarea, #run-name input").first.fill("browser")
    page.locator("#train-options button").first.click()
    for name, value in (("model", "nano"), ("batch tokens", "512"), ("max steps", "100000"), ("log every", "1")):
        field(page, name).fill(value)
    page.locator("#start").click()
    page.get_by_text("browser is started in a process of its own").wait_for()
    page.locator("#runs input").fill("browser")
    page.locator("#runs input").press("Enter")
    page.get_by_text("of browser.").wait_for()
    page.locator("#curves input").click()
    page.get_by_role("option", name="loss_ar", exact=True).click()
    page.keyboard.press("Escape")
    page.wait_for_timeout(6000)
    page.get_by_role("button", name="Start a run").click()  # The curves take its place in the picture.
    shoot(page, "training")
    page.locator("#command-quit").click()
    page.locator("#command-answer").get_by_text("is left for browser").wait_for()
    checkpoint = wait_until(lambda: latest_checkpoint(root.runs / "browser"), 300)
    wait_until(lambda: rows_of(root.lake, "checkpoints"), 300)
    assert checkpoint.is_dir()


def test_a_blind_pair_is_answered_and_the_answer_is_a_row_with_an_interval(page: Any, root: DataRoot) -> None:
    open_tab(page, "Evaluation")
    page.locator("#leaderboard").click()
    shown(page, "systems", "alpha").wait_for()
    page.locator("#listener textarea, #listener input").first.fill("Ada")
    for name, system in zip(("system-a", "system-b"), SYSTEMS, strict=True):
        page.locator(f"#{name} input").click()
        page.get_by_role("option", name=system, exact=True).last.click()
    page.locator("#draw").click()
    for number in range(1, 5):
        has_audio(page, "first")
        has_audio(page, "second")
        page.get_by_label("better", exact=True).check()
        page.locator("#answer-pair").click()
        wait_until(lambda number=number: len(rows_of(root.lake, "blind_answers")) == number, 60)
        playwright.expect(page.get_by_label("better", exact=True)).not_to_be_checked()
    shown(page, "blind-results", " to ").wait_for()
    shoot(page, "evaluation")
    rows = rows_of(root.lake, "blind_answers")
    assert {row["utterance"] for row in rows} == {f"utterance-{number}" for number in range(4)}
    assert all(row["rating"] == (2 if row["is_a_first"] else -2) for row in rows)


def test_a_word_that_is_clicked_is_replaced(untrained: Any) -> None:
    page = untrained
    open_tab(page, "Tasks")
    upload(page, "recording")
    page.locator("#task-text textarea, #task-text input").first.fill(CLIP.text)
    page.locator("#locate").click()
    page.get_by_text("Confirm that the speakers agreed").first.wait_for()
    page.locator("#task-consent input").check()
    page.locator("#locate").click()
    words = CLIP.text.split()
    page.locator("#words").get_by_text(words[1]).first.click()
    page.locator("#new-words textarea, #new-words input").first.fill("nine")
    page.locator("#replace").click()
    page.locator("#task-note").get_by_text("New from").wait_for()
    assert "nine" in page.locator("#task-note").inner_text()
    has_audio(page, "task-result")
    shoot(page, "tasks")


def test_a_recording_is_denoised_and_a_conversion_asks_for_its_voice(untrained: Any) -> None:
    page = untrained
    open_tab(page, "Tasks")
    page.locator("#task-convert").click()
    page.get_by_text("Give a recording of the voice").first.wait_for()
    page.locator("#task-denoise").click()
    page.locator("#task-note").get_by_text(" s").first.wait_for()
