"""Attention by flash-attn and xformers, recurrences by flash-linear-attention: calls, and the sentence without them.

None runs on a CPU, so the packages here are stand-ins with their signatures, which compute by torch. Where there are a
GPU and a package, the last test compares the package itself.
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


def chunk_simple_gla(q, k, v, g=None, scale=None, initial_state=None, output_final_state=False):
    """Linear attention step by step, with the axes of its package: [B, L, heads, size] and decays [B, L, heads]."""
    assert all(x.is_contiguous() for x in (q, k, v, g)) and g.shape == q.shape[:3]
    state, outputs = q.new_zeros(len(q), q.shape[2], k.shape[-1], v.shape[-1]), []
    for at in range(q.shape[1]):
        state = g[:, at].exp()[..., None, None] * state + k[:, at, :, :, None] * v[:, at, :, None]
        outputs.append((scale * q[:, at, :, None] @ state)[:, :, 0])
    return torch.stack(outputs, 1), None


@pytest.fixture
def packages(monkeypatch):
    ops = SimpleNamespace(
        LowerTriangularMask=LowerTriangularMask, memory_efficient_attention=memory_efficient_attention
    )
    flash = SimpleNamespace(flash_attn_func=flash_attn_func, flash_attn_varlen_func=flash_attn_varlen_func)
    monkeypatch.setitem(sys.modules, "flash_attn", flash)
    for module in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace())
    monkeypatch.setitem(sys.modules, "fla.ops.simple_gla", SimpleNamespace(chunk_simple_gla=chunk_simple_gla))
    monkeypatch.setitem(sys.modules, "xformers", SimpleNamespace(ops=ops))
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)


def run(kernel, mask, kv_heads=0, *, trunk="llama", device="cpu", dtype=torch.float32):
    torch.manual_seed(0)
    network = make_trunk(small_config(kv_heads=kv_heads, trunk=trunk)).eval().to(device, dtype)
    network.kernel = AttentionKernel(kernel)
    x, positions = torch.randn(3, LENGTH, 32), torch.arange(LENGTH).float().repeat(3, 1)
    with torch.no_grad():
        return network(x.to(device, dtype), mask, positions.to(device)).float().cpu()


def assert_equal_rows(hidden, expected, lengths, tolerance=1e-5):
    for row, length in enumerate(LENGTHS if lengths is not None else [LENGTH] * 3):
        torch.testing.assert_close(hidden[row, :length], expected[row, :length], atol=tolerance, rtol=10 * tolerance)


@pytest.mark.parametrize("kernel", ["flash-attn", "xformers"])
@pytest.mark.parametrize("kv_heads", [0, 1])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", list(MaskKind))
def test_packages_see_what_the_kernel_of_torch_sees(packages, kernel, kv_heads, lengths, kind):
    expected, hidden = (run(name, Mask(kind, lengths), kv_heads) for name in ("sdpa", kernel))
    assert_equal_rows(hidden, expected, lengths)


@pytest.mark.parametrize("trunk", ["retnet", "mamba"])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", list(MaskKind))
def test_flash_linear_attention_sees_what_the_scan_of_torch_sees(packages, trunk, lengths, kind):
    expected, hidden = (run(name, Mask(kind, lengths), trunk=trunk) for name in ("sdpa", "fla"))
    assert_equal_rows(hidden, expected, lengths)


def test_a_kernel_of_recurrences_is_refused_by_other_trunks(packages):
    with pytest.raises(ConfigurationError, match="is for the trunks retnet and mamba"):
        run("fla", Mask(MaskKind.FULL, None))


@pytest.mark.parametrize(
    ("kernel", "trunk", "module"),
    [
        ("flash-attn", "llama", "flash_attn"),
        ("xformers", "llama", "xformers.ops"),
        ("fla", "retnet", "fla.ops.simple_gla"),
        ("fla", "mamba", "fla.ops.simple_gla"),
    ],
)
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", list(MaskKind))
def test_the_package_itself_equals_torch_on_a_gpu(kernel, trunk, module, lengths, kind):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    pytest.importorskip(module)
    mask = Mask(kind, None if lengths is None else lengths.cuda())
    dtype = torch.bfloat16 if kernel == "flash-attn" else torch.float32  # flash-attn has no fp32
    expected, hidden = (run(name, mask, trunk=trunk, device="cuda", dtype=dtype) for name in ("math", kernel))
    assert_equal_rows(hidden, expected, lengths, tolerance=2e-2 if dtype is torch.bfloat16 else 2e-3)


def test_a_bounded_context_is_a_bias_for_xformers_and_refused_for_flash_attn(packages):
    mask = Mask(MaskKind.CAUSAL, LENGTHS, ContextWindow(torch.tensor([3, 1, 1]), 4))
    expected, hidden = run("sdpa", mask), run("xformers", mask)
    assert_equal_rows(hidden, expected, LENGTHS)
    with pytest.raises(ConfigurationError, match="no mask of a bounded context"):
        run("flash-attn", mask)


@pytest.mark.parametrize(
    ("kernel", "trunk", "package"),
    [
        ("flash-attn", "llama", "flash-attn"),
        ("xformers", "llama", "xformers"),
        ("fla", "retnet", "flash-linear-attention"),
    ],
)
def test_a_package_that_is_absent_is_one_sentence(kernel, trunk, package, monkeypatch):
    for module in ("flash_attn", "xformers", "xformers.ops", "fla", "fla.ops", "fla.ops.simple_gla"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=f"needs the package {package}; install it"):
        run(kernel, Mask(MaskKind.FULL, None), trunk=trunk)
