"""Pages of Prefect's UI, driven by Playwright."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotShown

_PATIENCE = 120_000
"""Milliseconds; a machine that trains and prepares at the same time renders pages slowly."""
_SUBMISSIONS = 5
_CLICKS = 5
_MILLISECONDS_TO_LEAVE = 20_000
_BETWEEN_RELOADS = 40.0
"""Seconds; some pages ask the server once in five minutes and stay empty if it was busy then."""
_MILLISECONDS_TO_SETTLE = 2500
"""Milliseconds in which the graph of a run moves to its position."""


class PrefectPages:
    """A browser window on one server, with a folder for screenshots."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page, self.url, self.screenshots = page, url, screenshots
        page.set_default_timeout(_PATIENCE)
        screenshots.mkdir(parents=True, exist_ok=True)

    def shoot(self, name: str) -> None:
        """Save a screenshot."""
        self.page.wait_for_timeout(_MILLISECONDS_TO_SETTLE)
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def log_in(self, password: str) -> None:
        """Open the UI and enter the password that it asks for."""
        self.page.goto(self.url)
        field = self.page.locator("input[type=password]").first
        field.wait_for()
        self.shoot("login")
        field.fill(password)
        field.press("Enter")
        field.wait_for(state="hidden")

    def open_form(self, deployment: str) -> None:
        """Open the form of a custom run from the list of deployments."""
        # The link to its flow has the same text.
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
        """Click a link until its page opens: a list that re-renders meanwhile loses the click."""
        for _ in range(_CLICKS):
            link.click()
            with suppress(NotShown):
                return self.page.wait_for_url(address, timeout=_MILLISECONDS_TO_LEAVE)
        raise AssertionError(f"{_CLICKS} clicks led nowhere")

    def _search(self, deployment: str) -> None:
        self.page.goto(f"{self.url}/deployments")
        self.page.get_by_placeholder("Search deployments").fill(deployment)

    def field(self, description: str) -> Locator:
        """Find the field of the form with this help text."""
        help_text = self.page.locator(".p-label__description", has_text=description)
        return self.page.locator(".p-label", has=help_text).last

    def fill(self, description: str, value: str) -> None:
        """Type into a field."""
        field = self._with_value(description)
        field.locator(".p-label__body").locator("textarea, input").last.fill(value)

    def choose(self, description: str, value: str) -> None:
        """Choose one of the values of a field."""
        control = self._with_value(description).locator(".p-select-button__control")
        control.focus()
        self.page.keyboard.press("ArrowDown")
        self.page.locator(".p-select-options").get_by_text(value, exact=True).click()
        expect(control).to_have_text(value)

    def _with_value(self, description: str) -> Locator:
        """Return a field; choose the type of an optional value first."""
        field = self.field(description)
        kinds = field.get_by_text(re.compile("^(str|path|int|float|integer|number)$"))
        if kinds.count():
            kinds.first.click()
        return field

    def switch_on(self, description: str) -> None:
        """Switch a boolean field on."""
        self.field(description).get_by_role("switch").click()

    def submit(self) -> None:
        """Start the run; repeat it if the page reports an error, because the database was busy."""
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
        """Open the page of a flow run."""
        self.page.goto(f"{self.url}/runs/flow-run/{run}")

    def open_tab(self, name: str) -> None:
        """Open a tab of the page."""
        self.page.get_by_text(name, exact=True).first.click()

    def open_artifact(self, key: str) -> None:
        """Open the newest artifact of a key."""
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
        """Wait until the page shows a locator; reload the page now and then."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return shown.wait_for(timeout=1000 * _BETWEEN_RELOADS)
            except NotShown:
                if time.monotonic() > deadline:
                    raise
            (again or self.page.reload)()

    def cancel_run(self) -> None:
        """Cancel the run of the open page; repeat it if the server was busy."""
        for _ in range(_SUBMISSIONS):
            self.page.get_by_role("button", name="Cancel", exact=True).first.click()
            dialog = self.page.locator(".p-modal")
            dialog.get_by_role("button", name="Confirm").click()
            dialog.wait_for(state="hidden")
            try:
                return self.page.get_by_text(re.compile("^Cancell(ing|ed)$")).first.wait_for(timeout=20_000)
            except NotShown:
                self.page.reload()
        raise AssertionError(f"{_SUBMISSIONS} cancellations went wrong")
