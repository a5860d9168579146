"""The pages of Prefect's UI that a person uses, driven by Playwright."""

import re
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Locator, Page, expect

_PATIENCE = 120_000
"""Milliseconds: a machine that trains and prepares at the same time draws pages slowly."""


class PrefectPages:
    """A browser window on one server, and the folder that screenshots go to."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page, self.url, self.screenshots = page, url, screenshots
        page.set_default_timeout(_PATIENCE)
        screenshots.mkdir(parents=True, exist_ok=True)

    def shoot(self, name: str) -> None:
        """Keep what is seen."""
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def open_form(self, deployment: str) -> None:
        """From the list of deployments to the form of a custom run."""
        self.page.goto(f"{self.url}/deployments")
        self.page.get_by_placeholder("Search deployments").fill(deployment)
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_text("Custom run").click()
        expect(self.page.get_by_text("Run Name")).to_be_visible(timeout=_PATIENCE)

    def field(self, description: str) -> Locator:
        """The field of the form that has this help text."""
        told = self.page.locator(".p-label__description", has_text=description)
        return self.page.locator(".p-label", has=told).last

    def fill(self, description: str, value: str) -> None:
        """Type into a field; of one that may be empty choose the kind of its value first."""
        field = self.field(description)
        kinds = field.get_by_text(re.compile("^(str|path|integer|number)$"))
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
        """Start the run."""
        self.page.get_by_role("button", name="Submit", exact=True).click()

    def open_run(self, run: UUID) -> None:
        """The page of a flow run."""
        self.page.goto(f"{self.url}/runs/flow-run/{run}")

    def open_tab(self, name: str) -> None:
        """A tab of the page."""
        self.page.get_by_text(name, exact=True).first.click()

    def open_artifact(self, key: str) -> None:
        """The newest artifact of a key."""
        self.page.goto(f"{self.url}/artifacts/key/{key}")
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()

    def see(self, text: str, seconds: float) -> None:
        """Wait until the page shows a text."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=1000 * seconds)

    def cancel_run(self) -> None:
        """Cancel the run whose page is open."""
        self.page.get_by_role("button", name="Cancel", exact=True).first.click()
        self.page.locator(".p-modal").get_by_role("button", name="Cancel Run").click()
