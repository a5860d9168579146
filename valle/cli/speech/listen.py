"""`valle listen`: play an utterance of the lake, a recording, or the worst utterances of an evaluation."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, say
from valle.data_root import open_data_root
from valle.listening import Recorded, read_file, read_utterance, read_worst
from valle.reviews import review
from warehouse.errors import ConfigurationError


class ListenOptions(BaseModel):
    """Options of `valle listen`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    worst: str | None = None
    """System or evaluation whose utterances with the highest word error rates are played; "" is every one."""
    count: int = Field(default=10, ge=1, le=10_000)
    """Utterances of `--worst`."""
    silent: bool = False
    """Print what would be played, without sound."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def listen(*names: str, options: Annotated[ListenOptions, FIELDS] = ListenOptions()) -> int:
    """Play utterances of the lake by their segment ids, or audio files, one by one; Ctrl-C ends.

    In a terminal `b` marks an utterance as bad, which `valle select` leaves out.
    """
    found = _find(names, options)
    for recorded in found:
        say(f"{recorded.audio.duration:6.2f} s  {recorded.title}")
        if not options.silent:
            _play(recorded)
        if sys.stdin.isatty():
            _ask(recorded, options)
    return 0


def _find(names: tuple[str, ...], options: ListenOptions) -> Iterator[Recorded]:
    data_root = open_data_root(options.data)
    if bool(names) == (options.worst is not None):
        raise ConfigurationError("Give segment ids or audio files, or --worst with the name of a system.")
    if options.worst is not None:
        return read_worst(data_root, options.worst, options.count)
    return (read_file(Path(name)) if Path(name).exists() else read_utterance(data_root, name) for name in names)


def _play(recorded: Recorded) -> None:
    from valle.synthesis.streaming.outputs import Loudspeaker

    with Loudspeaker(recorded.audio.sample_rate) as speaker:
        speaker.append(recorded.audio.samples, np.zeros((0, 0), dtype=np.int16))


def _ask(recorded: Recorded, options: ListenOptions) -> None:
    """Wait for Enter; `b` and a reason mark an utterance of the lake as bad."""
    if recorded.segment_id is None:
        input("Enter plays the next one. ")
        return
    verdict, _, note = input("Enter plays the next one, b and a reason mark this one as bad. ").partition(" ")
    if verdict == "b":
        review(open_data_root(options.data), [recorded.segment_id], "bad", note.strip())
