import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, small_config, small_model
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.tasks.mixtures.suppression import SUPPRESSION

NO_TEXT = np.zeros(0, dtype=np.int64)


def codes(frames, seed=0):
    return np.random.default_rng(seed).integers(0, STOP, (8, frames)).astype(np.int16)


def row(mixture, target, *, codebook=1, masked=None):
    return SUPPRESSION.row(NO_TEXT, 1, codebook, None, target, masked, SUPPRESSION.context(mixture))


@pytest.mark.parametrize("frames", [4, 6, 9])
def test_a_mixture_has_the_length_of_a_target_that_is_predicted_at_once(frames):
    mixture = codes(6)
    fitted = row(mixture, codes(frames, 1)).fields["mixture"]
    assert np.array_equal(fitted, mixture[:, [*range(6), 5, 5, 5][:frames]])
    assert np.array_equal(row(mixture, codes(frames, 1), codebook=0).fields["mixture"], mixture)


def test_a_frame_of_the_mixture_is_added_to_the_frame_of_the_target_in_the_same_place():
    model, target = small_model(), codes(5, 1)
    # Without layers that exchange information a slot is what it embeds.
    model.trunk = Identity()
    masked = np.ones(5, dtype=bool)
    mixture, other = codes(5), codes(5)
    other[:, 3] = (other[:, 3] + 1) % STOP
    layout = SUPPRESSION.layout(Mode.NAR_LEN)
    with torch.no_grad():
        one, two = (
            model(make_batch(layout, [row(given, target, codebook=0, masked=masked)], small_config()))
            for given in (mixture, other)
        )
    assert (one != two).any(1).tolist() == [False, False, False, True, False]


class Identity(torch.nn.Module):
    def forward(self, x, *_):
        return x
