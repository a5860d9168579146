"""Set up the HTML templates of reports. Every value is escaped, unless a filter marks it as HTML."""

import os
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

_NAME = re.compile(r"`([^`]*)`")


def render(template: str, **values: object) -> str:
    """Render a file of `templates/`."""
    # Undefined names raise, so that a typing error in a template cannot leave a silent gap in a report.
    environment = Environment(
        loader=PackageLoader("valle.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment.get_template(template).render(values)


def prose(text: object) -> Markup:
    """Escape text, and mark names between backticks as code."""
    return Markup(_NAME.sub(r"<code>\1</code>", str(escape(text))))


def asset(name: str) -> Markup:
    """Return a style sheet or script of `templates/`, to be inserted unescaped."""
    return Markup(files("valle.evaluation.report").joinpath("templates", name).read_text(encoding="utf-8"))


def relative_link(target: Path, directory: Path) -> str:
    """Return the address of a file for a page in `directory`, relative so that the folder can be moved as a whole."""
    # Quoted, because paths contain spaces, percent signs and hashes.
    return quote(Path(os.path.relpath(target, directory)).as_posix())
