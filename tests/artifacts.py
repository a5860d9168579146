"""Read the reports in the Prefect UI."""

import re


def pictures_of(report: str) -> list[str]:
    """The pictures that a Markdown report shows, each an address that holds all of it."""
    return re.findall(r"!\[[^\]]*\]\((data:image/png;base64,[^)]+)\)", report)
