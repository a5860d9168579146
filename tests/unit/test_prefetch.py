"""The prefetcher runs ahead by its depth, hands errors over, and ends its thread."""

import threading
from collections.abc import Iterator

import pytest

from valle.prefetch import Prefetcher


def test_the_elements_come_in_their_order_and_the_end_stays_the_end() -> None:
    with Prefetcher(range(5), depth=2) as numbers:
        assert list(numbers) == [0, 1, 2, 3, 4]
        assert list(numbers) == []


def test_values_that_are_exceptions_or_none_are_values() -> None:
    values = [None, ValueError("a value")]
    with Prefetcher(iter(values), depth=1) as found:
        assert list(found) == values


def test_an_exception_of_the_source_is_raised_after_the_elements_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    with Prefetcher(source(), depth=4) as numbers:
        assert next(numbers) == 1
        with pytest.raises(ZeroDivisionError):
            next(numbers)
        assert list(numbers) == []


def test_the_thread_waits_at_its_depth_and_ends_when_it_is_closed() -> None:
    taken: list[int] = []
    reached = threading.Event()

    def source() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            if number == 3:
                reached.set()
            yield number

    before = threading.active_count()
    with Prefetcher(source(), depth=2) as numbers:
        assert next(numbers) == 0
        assert reached.wait(300)
    assert threading.active_count() == before
    # One is handed out, two are queued, one waits for room.
    assert len(taken) <= 5
