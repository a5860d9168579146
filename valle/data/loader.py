"""Batches, prepared in a thread while the model computes."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from valle.data.collate import Collator
from valle.data.sampler import Cursor, Turn
from valle.model.batch import Batch


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """A batch and the cursor that resumes right after it."""

    batch: Batch
    after: Cursor


def stream(turns: Iterator[Turn], collator: Collator) -> Iterator[LoadedBatch]:
    """The batches of a rank's turns."""
    for turn in turns:
        yield LoadedBatch(collator(turn.batch, turn.draws), turn.after)


class Prefetched:
    """Runs an iterator in a thread, `depth` elements ahead. An exception there is raised here. Close it when done."""

    def __init__(self, source: Iterator[LoadedBatch], *, depth: int) -> None:
        self._source = source
        self._queue: queue.Queue[LoadedBatch | BaseException | None] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> "Prefetched":
        return self

    def __next__(self) -> LoadedBatch:
        element = self._queue.get()
        if element is None:
            raise StopIteration
        if isinstance(element, BaseException):
            raise element
        return element

    def close(self) -> None:
        """Stop the thread and forget what it prepared."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.05)

    def _run(self) -> None:
        try:
            for element in self._source:
                if not self._put(element):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            self._put(error)

    def _put(self, element: LoadedBatch | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(element, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
