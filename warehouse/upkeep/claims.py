"""Claim units of work with lock files beside the tables, so that two runs do not process the same shard at once.

A claim is advice and no lock: the lake accepts one commit per unit with or without claims, so a claim that is lost,
late or wrong costs a shard processed twice and nothing else. A claim is valid while its file was renewed within the
last minute and, on the same machine, its process still runs: a number that another process has now, or a killed
process that its parent has not collected, holds nothing.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from warehouse.errors import LakeError, StorageError
from warehouse.lake.store import Location, create_text, delete, find_file, read_text, write_text

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
FOLDER = "_claims"
"""Below the root of the lake."""
# A claim whose heartbeat is older belongs to a dead run. Four renewals fit, so a slow disk does not end a live one.
_SECONDS_OF_LIFE = 60.0
_SECONDS_TO_RENEWAL = 15.0
_SECONDS_TO_NEXT_LOOK = 1.0
# The start of a process is counted from the start of the machine, which a corrected clock moves.
_SECONDS_OF_CLOCK = 5.0


@dataclass(frozen=True, slots=True)
class _Holder:
    """The run that claims a unit, and its process with the time of its start (seconds since 1970)."""

    run: str
    host: str
    process: int
    started: float | None = None


@contextmanager
def claimed(lake: Lake, unit: str, run: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold the claim on `unit` for `run` while the body runs; yield false, and hold nothing, where another run has it.

    With `wait` it is held in any case, once the other run released it or ended. A run never excludes itself. `unit` is
    used in a file name. Yields true where no file can be written (a full disk).
    """
    note = lake.root / FOLDER / f"{unit}.json"
    holder = _Holder(run, socket.gethostname(), os.getpid(), psutil.Process().create_time())
    while not _acquire(note, holder):
        if not wait:
            yield False
            return
        logger.debug("%s: claimed by another run, waiting", note)
        time.sleep(_SECONDS_TO_NEXT_LOOK)
    done = threading.Event()
    renewal = threading.Thread(target=_renew, args=(note, holder, done), name=f"claim-{unit}", daemon=True)
    renewal.start()
    try:
        yield True
    finally:
        done.set()
        renewal.join()
        with suppress(OSError, LakeError, StorageError):
            delete(note)


def _acquire(note: Location, holder: _Holder) -> bool:
    """Create the claim; replace one that is expired or of this run. Return false where another run holds it."""
    try:
        if create_text(note, _text(holder)):
            return True
        found = find_file(note)
        if found is not None and _is_held(read_text(note), found.modified, holder):
            return False
        write_text(note, _text(holder), durable=False)
    except (OSError, LakeError, StorageError) as error:
        # Released between two looks, no space, no answer: in each case the work can be done.
        logger.debug("claim %s: %s", note, error)
    return True


def _is_held(text: str, modified: float, holder: _Holder) -> bool:
    """Return whether a claim of that text, last renewed at `modified`, is that of another live run."""
    is_fresh = time.time() - modified < _SECONDS_OF_LIFE
    try:
        other = _Holder(**json.loads(text))
    except (ValueError, TypeError):
        return is_fresh  # Being written now, or when its writer was killed.
    if other.run == holder.run or (other.host == holder.host and not _runs(other)):
        return False
    return is_fresh


def _runs(holder: _Holder) -> bool:
    """Return whether the process of a holder on this machine still runs."""
    try:
        process = psutil.Process(holder.process)
        is_same = holder.started is None or abs(process.create_time() - holder.started) < _SECONDS_OF_CLOCK
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # A process of another user.


def _renew(note: Location, holder: _Holder, done: threading.Event) -> None:
    while not done.wait(_SECONDS_TO_RENEWAL):
        with suppress(OSError, LakeError, StorageError):
            write_text(note, _text(holder), durable=False)


def _text(holder: _Holder) -> str:
    return json.dumps(asdict(holder))
