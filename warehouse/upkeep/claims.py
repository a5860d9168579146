"""Who is at which unit of work: a note beside the tables that keeps two runs from doing the same shard at once.

A claim is advice and never a lock: the lake lets one commit per unit through whether or not anybody claimed it, so a
claim that is lost, late or wrong costs a shard done twice and nothing else. It holds while its note was renewed within
the last minute and, on the same machine, its process exists.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from warehouse.errors import LakeError
from warehouse.lake.store import Location, create_text, delete, find_file, read_text, write_text
from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
FOLDER = "_claims"
"""Below the root of the lake."""
_SECONDS_OF_LIFE = 60.0
_SECONDS_TO_RENEWAL = 15.0
_SECONDS_TO_NEXT_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class _Holder:
    """The run that claims something, and the process of it that is at work."""

    run: str
    host: str
    process: int


@contextmanager
def claimed(lake: Lake, unit: str, run: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold the claim on `unit` for `run` while the body runs; false, and nothing held, where another run has it.

    With `wait` it is held in any case, once the other run gave it up or is no longer alive. A run never stands in its
    own way. `unit` is part of a file name. Where no note can be written (a full disk) the answer is true.
    """
    note = lake.root / FOLDER / f"{unit}.json"
    holder = _Holder(run, socket.gethostname(), os.getpid())
    while not _take(note, holder):
        if not wait:
            yield False
            return
        logger.debug("%s: another run is at it, waiting", note)
        time.sleep(_SECONDS_TO_NEXT_LOOK)
    done = threading.Event()
    renewal = threading.Thread(target=_renew, args=(note, holder, done), name=f"claim-{unit}", daemon=True)
    renewal.start()
    try:
        yield True
    finally:
        done.set()
        renewal.join()
        with suppress(OSError, LakeError):
            delete(note)


def _take(note: Location, holder: _Holder) -> bool:
    """Claim what nobody holds; what a dead run or this one left is taken over."""
    try:
        if create_text(note, _text(holder)):
            return True
        found = find_file(note)
        if found is not None and _is_held(read_text(note), found.modified, holder):
            return False
        write_text(note, _text(holder))
    except (OSError, LakeError) as error:
        # Given up between two looks, no space, no answer: whatever it is, the work can be done.
        logger.debug("claim %s: %s", note, error)
    return True


def _is_held(text: str, modified: float, holder: _Holder) -> bool:
    """Whether a note of that text, last renewed at `modified`, is the claim of another run that is alive."""
    is_fresh = time.time() - modified < _SECONDS_OF_LIFE
    try:
        other = _Holder(**json.loads(text))
    except (ValueError, TypeError):
        return is_fresh  # It is being written just now, or was when its writer was killed.
    if other.run == holder.run or (other.host == holder.host and not _exists(other.process)):
        return False
    return is_fresh


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Another user's.
    return True


def _renew(note: Location, holder: _Holder, done: threading.Event) -> None:
    while not done.wait(_SECONDS_TO_RENEWAL):
        with suppress(OSError, LakeError):
            write_text(note, _text(holder))


def _text(holder: _Holder) -> str:
    return json.dumps(asdict(holder))
