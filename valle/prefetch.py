"""Prepare the next elements of an iterator in a thread while the caller works on the current one."""

import queue
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Iterator over `source` that a thread runs up to `depth` elements ahead.

    An exception of `source` is raised by `next` in the place of the element. Use it as a context manager, or call
    `close`: otherwise the thread waits for a reader until the process ends.
    """

    def __init__(self, source: Iterable[T], *, depth: int, name: str = "prefetch") -> None:
        self._source = source
        self._queue: queue.Queue[_Element[T] | BaseException | None] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Prefetcher[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> "Prefetcher[T]":
        return self

    def __next__(self) -> T:
        element = self._queue.get()
        if isinstance(element, _Element):
            return element.value
        self._queue.put(None)  # The next call ends too, instead of waiting for ever.
        if element is None:
            raise StopIteration
        raise element

    def close(self) -> None:
        """Stop the thread and discard the prepared elements."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except queue.Empty:
                self._thread.join(0.05)

    def _run(self) -> None:
        try:
            for value in self._source:
                if not self._put(_Element(value)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, which raises it
            self._put(error)

    def _put(self, element: "_Element[T] | BaseException | None") -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(element, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


class _Element(Generic[T]):
    """A value of the source, told apart from its end and its exceptions."""

    def __init__(self, value: T) -> None:
        self.value = value
