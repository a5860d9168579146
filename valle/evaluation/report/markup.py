"""The few pieces of HTML that the page of an evaluation is made of; everything that comes in is escaped here."""

import os
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

from valle.evaluation.report.sections import Section
from valle.text.errors import AlignedWord, align_words

_NAME = re.compile(r"`([^`]*)`")


def tag(name: str, content: str = "", **attributes: str | None) -> str:
    """An element around `content`, which is HTML already. A trailing `_` and `_` inside a name become `` and `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>"


def prose(text: str) -> str:
    """Text with names between backticks as HTML."""
    return _NAME.sub(r"<code>\1</code>", escape(text))


def relative_link(target: Path, directory: Path) -> str:
    """The address of a file as a page in `directory` names it: relative, so that the folder can be moved as a whole."""
    return quote(Path(os.path.relpath(target, directory)).as_posix())


def header_cell(text: str, *, numeric: bool, meaning: str | None = None) -> str:
    """The head of a sortable column: a button, so that the keyboard reaches it."""
    button = tag("button", prose(text), type="button", title=meaning)
    return tag("th", button, scope="col", class_="number" if numeric else None)


def section_html(given: Section) -> str:
    """A section as HTML, with a sortable table."""
    parts = [tag("h2", prose(given.heading))]
    if given.intro:
        parts.append(tag("p", prose(given.intro)))
    if given.rows:
        head = tag(
            "tr",
            "".join(header_cell(text, numeric=n) for text, n in zip(given.header, given.numeric, strict=True)),
        )
        body = "\n".join(
            tag(
                "tr",
                "".join(
                    tag("td", "-" if cell is None else prose(str(cell)), class_="number" if n else None)
                    for cell, n in zip(row, given.numeric, strict=True)
                ),
            )
            for row in given.rows
        )
        table = tag("table", tag("thead", head) + tag("tbody", body), class_="sortable")
        parts.append(scrollable(table, given.heading))
    if given.note:
        parts.append(tag("p", prose(given.note)))
    return tag("section", "\n".join(parts))


def scrollable(table: str, label: str) -> str:
    """A table that scrolls by itself where the window is narrow, also by keyboard."""
    return tag("div", table, class_="scroll", role="region", tabindex="0", aria_label=label.replace("`", ""))


def definitions(pairs: Mapping[str, str]) -> str:
    """Names and their values as a list."""
    return tag("dl", "".join(tag("dt", escape(name)) + tag("dd", escape(value)) for name, value in pairs.items()))


def alignment_html(reference: str, hypothesis: str) -> str:
    """Two normalised texts as one line: right words plain, wrong ones marked as replaced, left out or added."""
    return " ".join(_marked(word) for word in align_words(reference, hypothesis))


def _marked(word: AlignedWord) -> str:
    said, heard = escape(word.reference or ""), escape(word.hypothesis or "")
    if word.mark == "=":
        return said
    if word.mark == "S":
        pair = tag("del", said) + tag("ins", heard)
        return tag("span", pair, class_="substitution", title="substitution")
    if word.mark == "D":
        return tag("del", said, class_="deletion", title="deletion")
    return tag("ins", heard, class_="insertion", title="insertion")


def options_html(choices: Mapping[str, str], selected: str) -> str:
    """The choices of a select box: value to text."""
    return "".join(
        tag("option", escape(text), value=value, selected="selected" if value == selected else None)
        for value, text in choices.items()
    )
