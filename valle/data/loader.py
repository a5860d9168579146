"""Prefetching: batches are collated in a thread while the model computes."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.sampler import ScheduledBatch
from valle.model.batch import Batch

T = TypeVar("T")


def collate_batches(scheduled: Iterator[ScheduledBatch], collator: Collator) -> Iterator[tuple[Batch, Cursor]]:
    """Collate scheduled batches; yields each with the cursor that resumes right after it."""
    for batch in scheduled:
        yield collator(batch), batch.after


class Prefetcher(Generic[T]):
    """Runs an iterator in a thread, `depth` elements ahead. Its exceptions are raised here. Close it when done."""

    def __init__(self, source: Iterator[T], *, depth: int) -> None:
        self._source = source
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> "Prefetcher[T]":
        return self

    def __next__(self) -> T:
        element = self._queue.get()
        if element is None:
            raise StopIteration
        if isinstance(element, BaseException):
            raise element
        return element[0]

    def close(self) -> None:
        """Stop the thread and drop what it prepared."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.05)

    def _run(self) -> None:
        try:
            for element in self._source:
                if not self._put((element,)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self._put(error)

    def _put(self, element: tuple[T] | BaseException | None) -> bool:
        # A blocking put would never notice that the consumer closed the prefetcher.
        while not self._closed.is_set():
            try:
                self._queue.put(element, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
