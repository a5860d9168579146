"""Several texts in one command: `valle speak --batch list.tsv`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from valle.cli.tasks.options import check_suffixes
from warehouse.errors import ConfigurationError, PipelineError

_NEEDED = ("out", "text")
_OPTIONAL = ("prompt", "language")


class BatchOptions(Protocol):
    """The options of a command that a line of the table changes."""

    @property
    def batch(self) -> Path | None:
        """The table."""

    @property
    def text_file(self) -> Path | None:
        """A file with one text."""

    @property
    def codes(self) -> Path | None:
        """A file for codes."""

    @property
    def is_stream(self) -> bool:
        """True where speech is emitted while it is synthesized."""

    @property
    def out(self) -> Path:
        """The audio file."""

    def model_copy(self, *, update: Any = None, deep: bool = False) -> Self:
        """Return changed options."""


Options = TypeVar("Options", bound=BatchOptions)


def read_batch(options: Options, text: str) -> list[tuple[str, Options]]:
    """Read the texts of a table with the options of each: those of the command, and the columns of its line.

    Raises ConfigurationError for a table that cannot be read, lacks a column or has an empty cell, for a file that two
    lines would write, and for a text given beside it. Everything is checked before the first line is spoken.
    """
    path = options.batch
    if path is None or text or options.text_file is not None or options.is_stream or options.codes is not None:
        raise ConfigurationError("--batch has its own texts and files: leave out the text, --codes and --stream.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            names, lines = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"The table {path} cannot be read ({error}).") from error
    if not set(_NEEDED) <= set(names) <= {*_NEEDED, *_OPTIONAL} or not lines:
        raise ConfigurationError(
            f"{path} needs a first line with the columns {', '.join(_NEEDED)} and may have {', '.join(_OPTIONAL)}, "
            f"not {', '.join(names) or 'nothing'}; each further line is a text."
        )
    requests = [_request(path, number, line, options) for number, line in enumerate(lines, 2)]
    outs = [one.out for _, one in requests]
    if len(set(outs)) < len(outs):
        twice = next(out for out in outs if outs.count(out) > 1)
        raise ConfigurationError(f"Two lines of {path} write {twice}; give each its own file.")
    return requests


def _request(path: Path, number: int, line: dict[str, str], options: Options) -> tuple[str, Options]:
    if any(not (line.get(name) or "").strip() for name in _NEEDED):
        raise ConfigurationError(f"Line {number} of {path} has no {' or no '.join(_NEEDED)}.")
    changes: dict[str, object] = {"out": Path(line["out"]), "batch": None}
    if line.get("prompt"):
        changes["prompt"] = (Path(line["prompt"]),)
    if line.get("language"):
        changes["language"] = line["language"]
    check_suffixes(Path(line["out"]), None)
    return line["text"], options.model_copy(update=changes)


def run_all(jobs: Sequence[Callable[[], int]]) -> int:
    """Run jobs one after the other; 1 when one of them was not complete.

    Among several, one that fails is reported and the others go on; alone its error is that of the command.
    """
    if len(jobs) == 1:
        return jobs[0]()
    codes = []
    for job in jobs:
        try:
            codes.append(job())
        except PipelineError as error:
            sys.stderr.write(f"valle: {error}\n")
            codes.append(1)
    return max(codes, default=0)
