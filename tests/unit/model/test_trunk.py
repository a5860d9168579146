"""The promises of every trunk; a new one is a line in the registry."""

from functools import partial

import numpy as np
import pytest
import torch

from tests.unit.model.rows import small_config
from valle.model.attention import AttentionKernel, Mask
from valle.model.layout import MaskKind
from valle.model.trunks.registry import TRUNKS, make_trunk
from warehouse.errors import ConfigurationError


def trunk_of(name, kernel=AttentionKernel.SDPA, **changes):
    torch.manual_seed(0)
    config = small_config(width=WIDTH, trunk=name, experts=8 if name == "mixtral" else 0).model_copy(update=changes)
    trunk = make_trunk(config).eval()
    trunk.kernel = kernel
    return trunk


CASES = {
    **{name: partial(trunk_of, name) for name in TRUNKS},
    "llama, flex attention": partial(trunk_of, "llama", AttentionKernel.FLEX),
    "llama, matrix products": partial(trunk_of, "llama", AttentionKernel.MATMUL),
    "llama, grouped queries": partial(trunk_of, "llama", kv_heads=1),
    "retnet, experts": partial(trunk_of, "retnet", experts=4),
    "retnet, cosine router": partial(trunk_of, "retnet", experts=4, router="cosine"),
}
ROTARY = ("llama", "mixtral", "retnet")
WIDTH, LENGTH = 32, 11


@pytest.fixture(params=CASES)
def trunk(request):
    return CASES[request.param]()


def inputs(rows=2, length=LENGTH, seed=0):
    torch.manual_seed(seed)
    return torch.randn(rows, length, WIDTH), torch.arange(length).float().repeat(rows, 1)


def run(trunk, x, positions, kind, lengths=None, cache=None):
    with torch.no_grad():
        return trunk(x, Mask(kind, lengths), positions, cache, torch.zeros(len(x), dtype=torch.long))


def test_a_causal_slot_sees_itself_and_what_is_before_it_and_nothing_else(trunk):
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.CAUSAL)
    for place in range(LENGTH):
        changed = x.clone()
        changed[:, place] += torch.randn(WIDTH)
        differs = ((run(trunk, changed, positions, MaskKind.CAUSAL) - before).abs().amax(-1) > 1e-6)[0]
        assert not differs[:place].any()
        assert differs[place:].all()


def test_a_full_slot_sees_every_slot(trunk):
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.FULL)
    for place in range(LENGTH):
        changed = x.clone()
        changed[:, place] += torch.randn(WIDTH)
        assert ((run(trunk, changed, positions, MaskKind.FULL) - before).abs().amax(-1) > 1e-6).all()


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


@pytest.mark.parametrize("name", ROTARY)
def test_rotary_positions_matter_by_their_differences(name):
    trunk = trunk_of(name)
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.FULL)
    torch.testing.assert_close(run(trunk, x, positions + 5, MaskKind.FULL), before, atol=1e-5, rtol=0)


def test_cached_steps_equal_one_full_pass_for_rows_of_any_length(trunk):
    starts = [4, 2, 5]
    x, positions = inputs(rows=3, length=20)
    whole = [run(trunk, x[row : row + 1], positions[row : row + 1], MaskKind.CAUSAL) for row in range(3)]
    cache = trunk.new_cache(0)
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


@pytest.mark.parametrize("name", TRUNKS)
def test_positions_matter_for_every_trunk(name):
    trunk = trunk_of(name)
    x, positions = inputs(rows=1)
    before = run(trunk, x, positions, MaskKind.FULL)
    assert not torch.allclose(run(trunk, x, positions * 2, MaskKind.FULL), before, atol=1e-3)


@pytest.mark.parametrize("kind", list(MaskKind))
@pytest.mark.parametrize("kv_heads", [0, 1])
@pytest.mark.parametrize("kernel", ["flex", "matmul", "flash", "math"])
def test_all_kernels_of_attention_see_the_same(kernel, kv_heads, kind):
    trunk = trunk_of("llama", kv_heads=kv_heads)
    x, positions = inputs(rows=3)
    lengths = torch.tensor([LENGTH, 7, 2])
    expected = run(trunk, x, positions, kind, lengths)
    trunk.kernel = AttentionKernel(kernel)
    hidden = run(trunk, x, positions, kind, lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(hidden[row, :length], expected[row, :length], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", list(MaskKind))
def test_matrix_products_learn_as_the_fused_kernel_does(kind):
    gradients = []
    for kernel in (AttentionKernel.SDPA, AttentionKernel.MATMUL):
        trunk = trunk_of("llama", kernel).train()
        x, positions = inputs(rows=3)
        hidden = trunk(x, Mask(kind, torch.tensor([LENGTH, 7, 2])), positions)
        (hidden[0].square().sum() + hidden[2, :2].square().sum()).backward()
        gradients.append([parameter.grad for parameter in trunk.parameters()])
    assert any(gradient.abs().max() > 0.1 for gradient in gradients[0])
    for expected, gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-3)


def test_a_kernel_that_the_device_lacks_is_one_sentence():
    x, positions = inputs()
    with pytest.raises(ConfigurationError, match=r"no CUDNN_ATTENTION kernel .* at sdpa"):
        run(trunk_of("llama", AttentionKernel.CUDNN), x, positions, MaskKind.FULL)


def test_flex_attention_says_that_it_cannot_learn_on_a_cpu():
    x, positions = inputs()
    with pytest.raises(ConfigurationError, match="leave `attention` at sdpa"):
        trunk_of("llama", AttentionKernel.FLEX)(x, Mask(MaskKind.FULL, None), positions)
