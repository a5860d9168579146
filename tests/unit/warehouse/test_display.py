"""Numbers as a person reads them."""

import pytest

from warehouse.catalogue.display import format_size, format_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (44.6, "45 s"), (59.7, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (273_700, "3 d 4 h")],
)
def test_a_time_is_given_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (56e9, "56 GB"), (5e15, "5000 TB")]
)
def test_a_size_has_three_digits(count: float, text: str) -> None:
    assert format_size(count) == text
