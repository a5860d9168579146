import numpy as np
import pytest

from tests.unit.data.fixtures import make_items, row_options, rows_of_epoch
from valle.data.codebook_schedule import codebook_weights
from warehouse.errors import ConfigurationError


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("triangular", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("uniform", [1] * 8),
        ("bell", [1, 2, 4, 8, 8, 4, 2, 1]),
        ((1, 0, 0, 0, 0, 0, 0, 1), [1, 0, 0, 0, 0, 0, 0, 1]),
    ],
)
def test_codebooks_are_sampled_by_the_schedule(schedule, expected):
    weights = codebook_weights(schedule, 8)
    assert weights == pytest.approx(np.array(expected) / sum(expected))
    items = make_items(4000, seconds=np.full(4000, 2.0))
    option = "codebook_schedule" if isinstance(schedule, str) else "codebook_weights"
    drawn = np.bincount(rows_of_epoch(items, **{option: schedule}).codebook, minlength=8) / 4000
    assert np.abs(drawn - weights).max() < 0.03


@pytest.mark.parametrize("schedule", ["equal", (1, 2), (0,) * 8, (1, -1, 0, 0, 0, 0, 0, 0)])
def test_an_invalid_schedule_is_refused(schedule):
    with pytest.raises(ConfigurationError):
        codebook_weights(schedule, 8)


def test_a_schedule_is_blended_into_the_later_one_between_two_epochs():
    early, late = codebook_weights("triangular", 8), codebook_weights("uniform", 8)
    options = {"later_codebook_schedule": "uniform", "codebook_schedule_epochs": (2, 6)}
    schedule = row_options(**options).make_codebook_schedule(8)
    assert schedule.weights(0) == schedule.weights(2) == early
    assert schedule.weights(4) == pytest.approx((np.array(early) + late) / 2)
    assert schedule.weights(6) == schedule.weights(1000) == late
    items = make_items(4000, seconds=np.full(4000, 2.0))
    drawn = [rows_of_epoch(items, epoch, **options).codebook for epoch in (0, 9)]
    assert [round((codebook == 7).mean(), 2) for codebook in drawn] == pytest.approx([1 / 36, 1 / 8], abs=0.02)
