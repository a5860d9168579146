"""Several texts, or recordings of a task, in one command: `valle speak --batch list.tsv`."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from valle.cli.arguments import refused
from valle.cli.tasks.options import check_suffixes
from warehouse.errors import CheckpointError, ConfigurationError, PipelineError

SPEECH_COLUMNS = ("out", "text")
VOICE_COLUMNS = ("prompt", "language")
PROMPT_COLUMNS = (
    *VOICE_COLUMNS,
    "prompt_text",
    "prompt_shares",
    "prompt_seconds",
    "prefix_silence",
    "speech_language",
)
_SEPARATOR = "|"
_LISTS = ("prompt", "prompt_shares")
_OF_A_PROMPT = ("prompt_text", "prompt_shares")


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

    @property
    def prompt(self) -> tuple[Path, ...]:
        """Recordings of the speaker."""

    @property
    def source(self) -> Path | None:
        """The recording that a task is given."""


Options = TypeVar("Options", bound=BatchOptions)


@dataclass(frozen=True, slots=True)
class BatchWork:
    """Work of a batch, and its name in a report."""

    name: str
    run: Callable[[], int]


def read_batch(
    options: Options, text: str, needed: Sequence[str] = SPEECH_COLUMNS, optional: Sequence[str] = PROMPT_COLUMNS
) -> list[tuple[str, Options]]:
    """Read the texts of a table with the options of each: those of the command, and the columns of its line.

    Columns have the names of options; several prompts and their shares are separated by `|`. Raises ConfigurationError
    for a table that cannot be read, lacks a column or has an empty cell or a refused value, for a recording that does
    not exist, for a file that two lines would write, and for a text given beside it. Everything is checked before the
    first line is spoken.
    """
    path = options.batch
    if path is None or text or options.text_file is not None or options.is_stream or options.codes is not None:
        raise ConfigurationError("--batch has its own texts and files: leave out the text, --codes and --stream.")
    lines = _read_lines(path, needed, optional)
    requests = [_request(f"Line {number} of {path}", line, needed, options) for number, line in lines]
    if "out" not in needed:
        return requests
    written = Counter(one.out.resolve() for _, one in requests)
    if twice := [out for out, count in written.items() if count > 1]:
        raise ConfigurationError(f"Two lines of {path} write {twice[0]}; give each its own file.")
    return requests


def _read_lines(path: Path, needed: Sequence[str], optional: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of a table with their numbers; empty ones are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, restkey="", restval="")
            names, lines = list(reader.fieldnames or ()), [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"The table {path} cannot be read ({error}).") from error
    if not set(needed) <= set(names) <= {*needed, *optional} or len(set(names)) < len(names) or not lines:
        raise ConfigurationError(
            f"{path} needs a first line with the columns {', '.join(needed)} and may have {', '.join(optional)}, each "
            f"once, not {', '.join(names) or 'nothing'}; each further line is a text or a recording."
        )
    for number, line in lines:
        if "" in line:
            raise ConfigurationError(f"Line {number} of {path} has more than {len(names)} columns.")
    return lines


def _request(where: str, line: Mapping[str, str], needed: Sequence[str], options: Options) -> tuple[str, Options]:
    given = {name: cell for name, cell in line.items() if cell.strip()}
    if missing := [name for name in needed if name not in given]:
        raise ConfigurationError(f"{where} has no {' and no '.join(missing)}.")
    changes: dict[str, object] = {
        name: tuple(part.strip() for part in cell.split(_SEPARATOR)) if name in _LISTS else cell
        for name, cell in given.items()
        if name != "text"
    }
    if "prompt" in given and any(getattr(options, name) and name not in given for name in _OF_A_PROMPT):
        raise ConfigurationError(f"{where} has its own prompt: give prompt_text and prompt_shares as columns, too.")
    try:
        # Whole, so that each value is checked as on the command line. pydantic checks the types, which mypy cannot.
        changed = type(options)(**{**dict(options), "batch": None, **changes})  # type: ignore[call-overload]
        check_suffixes(changed.out if "out" in needed else None, None)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {refused(error)}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    for recording in (*changed.prompt, *([changed.source] if changed.source else [])):
        if not recording.is_file():
            raise ConfigurationError(f"{where}: there is no recording {recording}.")
    return given.get("text", ""), changed


def run_all(jobs: Sequence[BatchWork]) -> int:
    """Run jobs one after the other; 1 when one of them was not complete.

    Among several, one that fails is reported by its name and the others go on; alone its error is that of the command,
    and so is that of a checkpoint which cannot do the work at all.
    """
    if len(jobs) == 1:
        return jobs[0].run()
    codes = []
    for job in jobs:
        try:
            codes.append(job.run())
        except CheckpointError:  # of every line alike
            raise
        except PipelineError as error:
            sys.stderr.write(f"valle: {job.name}: {error}\n")
            codes.append(1)
    return max(codes, default=0)
