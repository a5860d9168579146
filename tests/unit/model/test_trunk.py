"""The promises of every trunk; a new one is a new line in TRUNKS."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import small_config
from valle.model.attention import AttentionKernel, Mask
from valle.model.cache import Cache
from valle.model.layout import MaskKind
from valle.model.trunk import LlamaTrunk
from warehouse.errors import ConfigurationError


def with_kernel(kernel):
    def build(config):
        trunk = LlamaTrunk(config)
        trunk.kernel = kernel
        return trunk

    return build


with_flex_attention = with_kernel(AttentionKernel.FLEX)
TRUNKS = {
    "llama": LlamaTrunk,
    "llama, flex attention": with_flex_attention,
    "llama, matrix products": with_kernel(AttentionKernel.MATMUL),
}
WIDTH, LENGTH = 32, 11


@pytest.fixture(params=TRUNKS)
def trunk(request):
    torch.manual_seed(0)
    return TRUNKS[request.param](small_config(width=WIDTH)).eval()


def inputs(rows=2, length=LENGTH, seed=0):
    torch.manual_seed(seed)
    return torch.randn(rows, length, WIDTH), torch.arange(length).float().repeat(rows, 1)


def run(trunk, x, positions, kind, lengths=None, cache=None):
    with torch.no_grad():
        return trunk(x, Mask(kind, lengths), positions, cache)


def test_a_causal_slot_sees_itself_and_what_is_before_it_and_nothing_else(trunk):
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.CAUSAL)
    for place in range(LENGTH):
        changed = x.clone()
        changed[:, place] += 1
        differs = (run(trunk, changed, positions, MaskKind.CAUSAL) != before).any(-1)[0]
        assert not differs[:place].any()
        assert differs[place:].all()


def test_a_full_slot_sees_every_slot(trunk):
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.FULL)
    for place in range(LENGTH):
        changed = x.clone()
        changed[:, place] += 1
        assert (run(trunk, changed, positions, MaskKind.FULL) != before).any(-1).all()


@pytest.mark.parametrize("kind", list(MaskKind))
def test_padding_is_never_seen_however_much_of_it_there_is_and_whatever_it_holds(trunk, kind):
    x, positions = inputs(rows=1, length=7)
    alone = run(trunk, x, positions, kind)
    for extra, content in ((1, 0.0), (9, 100.0)):
        padded = torch.cat([x, torch.full((1, extra, WIDTH), content)], 1)
        places = torch.cat([positions, torch.zeros(1, extra)], 1)
        together = run(trunk, padded, places, kind, torch.tensor([7]))
        torch.testing.assert_close(together[:, :7], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", list(MaskKind))
def test_a_row_is_the_same_alone_and_in_a_batch(trunk, kind):
    lengths = [3, 11, 6]
    x, positions = inputs(rows=3)
    together = run(trunk, x, positions, kind, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = run(trunk, x[row : row + 1, :length], positions[row : row + 1, :length], kind)
        torch.testing.assert_close(together[row : row + 1, :length], alone, atol=1e-5, rtol=0)


def test_positions_matter_by_their_differences(trunk):
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.FULL)
    torch.testing.assert_close(run(trunk, x, positions + 5, MaskKind.FULL), before, atol=1e-5, rtol=0)
    assert not torch.allclose(run(trunk, x, positions * 2, MaskKind.FULL), before, atol=1e-3)


def test_cached_steps_equal_one_full_pass_for_rows_of_any_length(trunk):
    starts = [4, 2, 5]
    x, positions = inputs(rows=3, length=20)
    whole = [run(trunk, x[row : row + 1], positions[row : row + 1], MaskKind.CAUSAL) for row in range(3)]
    cache = Cache(2)
    longest = max(starts)
    run(trunk, x[:, :longest], positions[:, :longest], MaskKind.CAUSAL, torch.tensor(starts), cache)
    for step in range(10):
        places = torch.tensor(starts) + step
        rows = torch.arange(3)
        hidden = run(trunk, x[rows, places][:, None], positions[rows, places][:, None], MaskKind.CAUSAL, None, cache)
        for row, place in enumerate(places.tolist()):
            torch.testing.assert_close(hidden[row, 0], whole[row][0, place], atol=1e-5, rtol=0)


def test_the_order_of_the_rows_is_the_order_of_the_results(trunk):
    x, positions = inputs(rows=4)
    order = np.random.default_rng(0).permutation(4)
    before = run(trunk, x, positions, MaskKind.FULL)
    torch.testing.assert_close(run(trunk, x[order], positions[order], MaskKind.FULL), before[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", list(MaskKind))
@pytest.mark.parametrize("kernel", [AttentionKernel.FLEX, AttentionKernel.MATMUL])
def test_all_kernels_of_attention_see_the_same(kernel, kind):
    torch.manual_seed(0)
    trunk = LlamaTrunk(small_config(width=WIDTH)).eval()
    x, positions = inputs(rows=3)
    lengths = torch.tensor([LENGTH, 7, 2])
    expected = run(trunk, x, positions, kind, lengths)
    trunk.kernel = kernel
    hidden = run(trunk, x, positions, kind, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(hidden[row, :length], expected[row, :length], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", list(MaskKind))
def test_matrix_products_learn_as_the_fused_kernel_does(kind):
    gradients = []
    for kernel in (AttentionKernel.SDPA, AttentionKernel.MATMUL):
        torch.manual_seed(0)
        trunk = with_kernel(kernel)(small_config(width=WIDTH))
        x, positions = inputs(rows=3)
        hidden = trunk(x, Mask(kind, torch.tensor([LENGTH, 7, 2])), positions)
        (hidden[0].square().sum() + hidden[2, :2].square().sum()).backward()
        gradients.append([parameter.grad for parameter in trunk.parameters()])
    assert any(gradient.abs().max() > 0.1 for gradient in gradients[0])
    for expected, gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-3)


def test_flex_attention_says_that_it_cannot_learn_on_a_cpu():
    x, positions = inputs()
    with pytest.raises(ConfigurationError, match="leave `attention` at sdpa"):
        with_flex_attention(small_config(width=WIDTH))(x, Mask(MaskKind.FULL, None), positions)
