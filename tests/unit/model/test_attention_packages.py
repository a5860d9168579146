"""Attention by flash-attn and xformers: how they are called, and the sentence without them.

Neither runs on a CPU, so the packages here are stand-ins with their signatures, which compute by torch.
"""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from tests.unit.model.rows import small_config
from valle.model.attention import AttentionKernel, ContextWindow, Mask
from valle.model.layout import MaskKind
from valle.model.trunks.registry import make_trunk
from warehouse.errors import ConfigurationError

LENGTH, LENGTHS = 11, torch.tensor([11, 7, 2])


def attend(query, key, value, **options):
    """Attention with the axes of both packages, [B, L, heads, size]."""
    axes = (x.transpose(1, 2) for x in (query, key, value))
    return functional.scaled_dot_product_attention(*axes, enable_gqa=True, **options).transpose(1, 2)


def flash_attn_func(q, k, v, causal=False):
    return attend(q, k, v, is_causal=causal)


def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, causal=False):
    assert cu_seqlens_q.dtype == torch.int32 and max_seqlen_q == max(cu_seqlens_q.diff())
    spans = [slice(*pair) for pair in zip(cu_seqlens_q[:-1].tolist(), cu_seqlens_q[1:].tolist(), strict=True)]
    return torch.cat([attend(q[span][None], k[span][None], v[span][None], is_causal=causal)[0] for span in spans])


class LowerTriangularMask:
    pass


def memory_efficient_attention(query, key, value, attn_bias=None):
    assert query.shape == key.shape
    if isinstance(attn_bias, LowerTriangularMask):
        return attend(query, key, value, is_causal=True)
    if attn_bias is not None:
        assert attn_bias.shape == (len(query), query.shape[2], query.shape[1], query.shape[1])
        assert attn_bias.stride(-2) % 8 == 0
    return attend(query, key, value, attn_mask=attn_bias)


@pytest.fixture
def packages(monkeypatch):
    ops = SimpleNamespace(
        LowerTriangularMask=LowerTriangularMask, memory_efficient_attention=memory_efficient_attention
    )
    flash = SimpleNamespace(flash_attn_func=flash_attn_func, flash_attn_varlen_func=flash_attn_varlen_func)
    monkeypatch.setitem(sys.modules, "flash_attn", flash)
    monkeypatch.setitem(sys.modules, "xformers", SimpleNamespace(ops=ops))
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)


def run(kernel, mask, kv_heads=0):
    torch.manual_seed(0)
    trunk = make_trunk(small_config(kv_heads=kv_heads)).eval()
    trunk.kernel = AttentionKernel(kernel)
    x, positions = torch.randn(3, LENGTH, 32), torch.arange(LENGTH).float().repeat(3, 1)
    with torch.no_grad():
        return trunk(x, mask, positions)


@pytest.mark.parametrize("kernel", ["flash-attn", "xformers"])
@pytest.mark.parametrize("kv_heads", [0, 1])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", list(MaskKind))
def test_packages_see_what_the_kernel_of_torch_sees(packages, kernel, kv_heads, lengths, kind):
    expected, hidden = (run(name, Mask(kind, lengths), kv_heads) for name in ("sdpa", kernel))
    for row, length in enumerate(LENGTHS if lengths is not None else [LENGTH] * 3):
        torch.testing.assert_close(hidden[row, :length], expected[row, :length], atol=1e-5, rtol=1e-4)


def test_a_bounded_context_is_a_bias_for_xformers_and_refused_for_flash_attn(packages):
    mask = Mask(MaskKind.CAUSAL, LENGTHS, ContextWindow(torch.tensor([3, 1, 1]), 4))
    expected, hidden = run("sdpa", mask), run("xformers", mask)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(hidden[row, :length], expected[row, :length], atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigurationError, match="no mask of a bounded context"):
        run("flash-attn", mask)


@pytest.mark.parametrize("kernel", ["flash-attn", "xformers"])
def test_a_package_that_is_absent_is_one_sentence(kernel, monkeypatch):
    for module in ("flash_attn", "xformers", "xformers.ops"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=f"needs the package {kernel}; install it"):
        run(kernel, Mask(MaskKind.FULL, None))
