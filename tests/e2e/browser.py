"""The pages of Prefect's UI that a person uses, driven by Playwright."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotShown

_PATIENCE = 120_000
"""Milliseconds: a machine that trains and prepares at the same time draws pages slowly."""
_SUBMISSIONS = 5
_CLICKS = 5
_MILLISECONDS_TO_LEAVE = 20_000
_BETWEEN_RELOADS = 40.0
"""Seconds: some pages ask the server once in five minutes, and stay empty until then when it was busy at that time."""
_MILLISECONDS_TO_SETTLE = 2500
"""The graph of a run glides into its place."""


class PrefectPages:
    """A browser window on one server, and the folder that screenshots go to."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page, self.url, self.screenshots = page, url, screenshots
        page.set_default_timeout(_PATIENCE)
        screenshots.mkdir(parents=True, exist_ok=True)

    def shoot(self, name: str) -> None:
        """Keep what is seen."""
        self.page.wait_for_timeout(_MILLISECONDS_TO_SETTLE)
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def open_form(self, deployment: str) -> None:
        """From the list of deployments to the form of a custom run."""
        # The flow beside it is called the same.
        link = self.page.locator("a[href*='/deployments/deployment/']").filter(has_text=re.compile(f"^{deployment}$"))
        self._search(deployment)
        self.wait_for(link.first, 600, again=lambda: self._search(deployment))
        self._follow(link.first, "**/deployments/deployment/*")
        run = self.page.get_by_role("button", name="Run", exact=True)
        self.wait_for(run, 600)
        run.click()
        self.page.get_by_text("Custom run").click()
        expect(self.page.get_by_text("Run Name")).to_be_visible(timeout=_PATIENCE)

    def _follow(self, link: Locator, address: str) -> None:
        """Click a link until the page is another one: a list that is drawn anew just then swallows the click."""
        for _ in range(_CLICKS):
            link.click()
            with suppress(NotShown):
                return self.page.wait_for_url(address, timeout=_MILLISECONDS_TO_LEAVE)
        raise AssertionError(f"{_CLICKS} clicks led nowhere")

    def _search(self, deployment: str) -> None:
        self.page.goto(f"{self.url}/deployments")
        self.page.get_by_placeholder("Search deployments").fill(deployment)

    def field(self, description: str) -> Locator:
        """The field of the form that has this help text."""
        told = self.page.locator(".p-label__description", has_text=description)
        return self.page.locator(".p-label", has=told).last

    def fill(self, description: str, value: str) -> None:
        """Type into a field; of one that may be empty choose the kind of its value first."""
        field = self.field(description)
        kinds = field.get_by_text(re.compile("^(str|path|int|float|integer|number)$"))
        if kinds.count():
            kinds.first.click()
        field.locator(".p-label__body").locator("textarea, input").last.fill(value)

    def choose(self, description: str, value: str) -> None:
        """Choose one of the values that a field offers."""
        control = self.field(description).locator(".p-select-button__control")
        control.focus()
        self.page.keyboard.press("ArrowDown")
        self.page.locator(".p-select-options").get_by_text(value, exact=True).click()
        expect(control).to_have_text(value)

    def switch_on(self, description: str) -> None:
        """Switch a yes-or-no field on."""
        self.field(description).get_by_role("switch").click()

    def submit(self) -> None:
        """Start the run; again when the page says that it went wrong: the database was busy for a moment."""
        wrong = self.page.get_by_text("Something went wrong").first
        for _ in range(_SUBMISSIONS):
            self.page.get_by_role("button", name="Submit", exact=True).click()
            self.page.wait_for_function(
                "() => !location.pathname.endsWith('/run') || document.body.innerText.includes('Something went wrong')"
            )
            if not wrong.is_visible():
                return
            self.shoot("went-wrong")
            for close in self.page.locator(".p-toast__close-btn").all():
                close.click()
        raise AssertionError(f"{_SUBMISSIONS} submissions went wrong")

    def open_run(self, run: UUID) -> None:
        """The page of a flow run."""
        self.page.goto(f"{self.url}/runs/flow-run/{run}")

    def open_tab(self, name: str) -> None:
        """A tab of the page."""
        self.page.get_by_text(name, exact=True).first.click()

    def open_artifact(self, key: str) -> None:
        """The newest artifact of a key."""
        self.page.goto(f"{self.url}/artifacts/key/{key}")
        newest = self.page.locator("a[href*='/artifacts/artifact/']").first
        self.wait_for(newest, 600)
        self._follow(newest, "**/artifacts/artifact/*")

    def see(self, text: str, seconds: float) -> None:
        """Wait until the page shows a text."""
        self.wait_for(self.page.get_by_text(text).first, seconds)

    def see_picture(self, caption: str, seconds: float) -> None:
        """Wait until the page shows a picture, and scroll to it."""
        picture = self.page.get_by_alt_text(caption).first
        self.wait_for(picture, seconds)
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0"), f"{caption!r} is not drawn"

    def see_in_tab(self, tab: str, text: str, seconds: float) -> None:
        """Wait until a tab of the page shows a text."""

        def look_again() -> None:
            self.page.reload()
            self.open_tab(tab)

        self.open_tab(tab)
        self.wait_for(self.page.get_by_text(text).first, seconds, again=look_again)

    def see_state(self, name: str, seconds: float) -> None:
        """Wait until the page of a run shows its state."""
        self.wait_for(self.page.get_by_text(name, exact=True).first, seconds)

    def wait_for(self, shown: Locator, seconds: float, *, again: Callable[[], object] | None = None) -> None:
        """Wait until the page shows something, and load it again now and then, as a person would."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return shown.wait_for(timeout=1000 * _BETWEEN_RELOADS)
            except NotShown:
                if time.monotonic() > deadline:
                    raise
            (again or self.page.reload)()

    def cancel_run(self) -> None:
        """Cancel the run whose page is open; again when the server had no time for it."""
        for _ in range(_SUBMISSIONS):
            self.page.get_by_role("button", name="Cancel", exact=True).first.click()
            asked = self.page.locator(".p-modal")
            asked.get_by_role("button", name="Confirm").click()
            asked.wait_for(state="hidden")
            try:
                return self.page.get_by_text(re.compile("^Cancell(ing|ed)$")).first.wait_for(timeout=20_000)
            except NotShown:
                self.page.reload()
        raise AssertionError(f"{_SUBMISSIONS} cancellations went wrong")
