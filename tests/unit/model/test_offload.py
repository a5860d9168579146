"""A model within a budget of the device: the same codes, and weights on the device while they compute only."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, small_model
from valle.model.trunks.offload import place
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from warehouse.errors import ConfigurationError

CPU = torch.device("cpu")


def sizes(model):
    blocks = [sum(p.nbytes for p in block.parameters()) for block in model.trunk.blocks]
    return sum(p.nbytes for p in model.parameters()), blocks


def speak(model):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, STOP, (8, 4)).astype(np.int16)
    condition = Condition(rng.integers(1, 12, 5), 1, codes, codes[:, :0])
    return decode(model, [condition], [SamplingOptions(seed=1, max_seconds=0.1)])[0].codes.tolist()


@pytest.mark.parametrize("trunk", ["llama", "retnet"])
def test_blocks_beyond_the_budget_are_copied_for_their_forward_and_compute_the_same(trunk):
    model = small_model(depth=4, trunk=trunk)
    expected = speak(model)
    whole, blocks = sizes(model)
    assert place(model, CPU, whole) == 0
    # Room for one block to stay and one to be copied.
    assert place(model, CPU, whole - sum(blocks[2:])) == 3
    homes = [[p.data_ptr() for p in block.parameters()] for block in model.trunk.blocks]
    during = [[] for _ in blocks]
    for number, block in enumerate(model.trunk.blocks):
        block.register_forward_hook(
            lambda module, *_, seen=during[number]: seen.append([p.data_ptr() for p in module.parameters()]),
            prepend=True,
        )
    assert speak(model) == expected
    assert [[p.data_ptr() for p in block.parameters()] for block in model.trunk.blocks] == homes
    is_copied = [all(seen != home for seen in pointers) for pointers, home in zip(during, homes, strict=True)]
    assert is_copied == [False, True, True, True]


def test_a_budget_below_the_smallest_and_ternary_layers_are_refused():
    model = small_model(depth=4)
    with pytest.raises(ConfigurationError, match="raise device_gigabytes"):
        place(model, CPU, 1000)
    with pytest.raises(ConfigurationError, match="keeps rounded weights"):
        place(small_model(trunk="bitnet"), CPU, 1000)
