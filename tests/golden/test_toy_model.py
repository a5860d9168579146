import numpy as np
import pytest

from tests.golden.toy_model import FILE, compute


@pytest.fixture(scope="module")
def computed():
    return compute()


def test_the_stored_file_is_small():
    assert FILE.stat().st_size < 100_000


def test_the_toy_model_still_computes_the_stored_logits(computed):
    stored = np.load(FILE)
    assert set(stored) == set(computed)
    for name in ("0", "1", "2", "3", "masked"):
        np.testing.assert_allclose(computed[f"logits_{name}"], stored[f"logits_{name}"], atol=1e-4)


@pytest.mark.parametrize("name", ["greedy", "drawn", "guided", "beams", "masked"])
def test_the_toy_model_still_speaks_the_stored_codes(computed, name):
    stored = np.load(FILE)
    for place in range(3):
        np.testing.assert_array_equal(computed[f"{name}_{place}"], stored[f"{name}_{place}"])
    assert len({computed[f"{name}_{place}"].tobytes() for place in range(3)}) == 3
