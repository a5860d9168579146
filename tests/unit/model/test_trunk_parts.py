"""Parts of single trunks: recurrences, experts, ternary layers."""

from functools import partial

import pytest
import torch

from tests.unit.model.rows import small_config
from valle.model.attention import Mask
from valle.model.layout import MaskKind
from valle.model.trunks import recurrence
from valle.model.trunks.bit_linear import BitLinear, ternary
from valle.model.trunks.cpu.few_rows import MOST_ROWS, FewRowsLinear
from valle.model.trunks.experts import CosineRouter, ExpertsMlp
from valle.model.trunks.registry import make_trunk


def random_recurrence(length=300, rows=2, heads=3):
    torch.manual_seed(0)
    query, key = torch.randn(2, rows, heads, length, 8)
    value = torch.randn(rows, heads, length, 5)
    return query, key, value, -torch.rand(rows, heads, length) * 0.2


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize("chunk", [7, 64, 300])
def test_parallel_and_chunkwise_forms_are_equal(is_causal, chunk):
    values = random_recurrence()
    scan = partial(recurrence.plain_scan, chunk=chunk)
    chunked = recurrence.scan_rows(*values, is_causal=is_causal, scan=scan)
    torch.testing.assert_close(chunked, recurrence.parallel(*values, is_causal=is_causal), atol=1e-4, rtol=1e-4)


def test_recurrent_and_parallel_forms_are_equal_from_any_state():
    query, key, value, decay = random_recurrence()
    whole = recurrence.parallel(query, key, value, decay)
    lengths = torch.tensor([120, 7])
    state = recurrence.final_state(key[:, :, :150], value[:, :, :150], decay[..., :150], lengths)
    for step in range(150):
        now = lengths + step
        picked = [x[torch.arange(2), :, now][:, :, None] for x in (query, key, value)]
        output, state = recurrence.step(state, *picked, decay[torch.arange(2), :, now][..., None])
        torch.testing.assert_close(output[:, :, 0], whole[torch.arange(2), :, now], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["retnet", "mamba"])
@torch.no_grad()
def test_a_recurrent_trunk_decodes_with_a_state_of_constant_size(name):
    trunk = make_trunk(small_config(trunk=name)).eval()
    cache, rows, sizes = trunk.new_cache(0), torch.zeros(2, dtype=torch.long), set()
    for length in (9, 1, 1, 1):
        trunk(torch.randn(2, length, 32), Mask(MaskKind.CAUSAL, None), torch.zeros(2, length), cache, rows)
        sizes.add(cache.num_bytes)
    assert len(sizes) == 1


def experts_mlp(router="linear"):
    torch.manual_seed(0)
    mlp = ExpertsMlp(small_config(trunk="mixtral", experts=4, width=8, feed_forward=8, router=router))
    for parameter in mlp.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return mlp.double()


@pytest.mark.parametrize("router", ["linear", "cosine"])
def test_the_gradient_of_experts_and_router_loss_is_right(router):
    mlp = experts_mlp(router)
    x = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    mask = Mask(MaskKind.FULL, torch.tensor([5, 3]))

    def outputs(*parameters):
        names = [name for name, _ in mlp.named_parameters()]
        called = torch.func.functional_call(mlp, dict(zip(names, parameters[1:], strict=True)), (parameters[0], mask))
        return called, mlp.report.balance

    # Routing itself is in single precision, which bounds what a difference quotient can tell.
    assert torch.autograd.gradcheck(outputs, (x, *mlp.parameters()), eps=1e-3, atol=1e-3, rtol=1e-2, fast_mode=True)


def test_the_balance_is_one_for_even_use_and_the_number_of_experts_for_one_alone():
    mlp = experts_mlp()
    x = torch.randn(1, 4000, 8, dtype=torch.float64)
    mlp(x, Mask(MaskKind.FULL, None))
    assert mlp.report.load.sum() == pytest.approx(1)
    with torch.no_grad():
        mlp.router.weight.zero_()
        mlp(x, Mask(MaskKind.FULL, None))
        assert float(mlp.report.balance) == pytest.approx(1)
        mlp.router.weight[0] = 100 * torch.ones(8)
        mlp(x.abs(), Mask(MaskKind.FULL, None))
    # Two experts are chosen per slot, and the first has all of the probability.
    assert float(mlp.report.balance) == pytest.approx(2)


def test_a_cosine_router_does_not_depend_on_the_length_of_a_vector():
    router = CosineRouter(8, 4)
    x = torch.randn(5, 8)
    torch.testing.assert_close(router(3 * x), router(x))
    assert (router(x).abs() <= 1 / 0.07 + 1e-3).all()


def test_padding_does_not_count_as_load():
    mlp = experts_mlp()
    x = torch.randn(1, 4, 8, dtype=torch.float64)
    mlp(x, Mask(MaskKind.FULL, None))
    alone = mlp.report
    mlp(torch.cat([x, 9 * torch.ones(1, 50, 8, dtype=torch.float64)], 1), Mask(MaskKind.FULL, torch.tensor([4])))
    torch.testing.assert_close(mlp.report.load, alone.load)
    torch.testing.assert_close(mlp.report.balance, alone.balance)


def test_ternary_layers_evaluate_what_they_train_and_see_new_weights():
    torch.manual_seed(0)
    layer, x = BitLinear(16, 4), torch.randn(3, 16)
    codes, _ = ternary(layer.weight)
    assert set(codes.unique().tolist()) == {-1.0, 0.0, 1.0}
    for _ in range(2):
        torch.testing.assert_close(layer.train()(x), layer.eval()(x))
        with torch.no_grad():
            layer.weight.mul_(torch.randn(4, 16))
    layer.train()(x).sum().backward()
    assert layer.weight.grad.abs().min() > 0


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 1), (1, 2), (4, 1), (2, 9)])
def test_the_product_of_few_rows_is_that_of_many(shape, bias):
    torch.manual_seed(0)
    layer = FewRowsLinear(192, 128, bias=bias)
    x = torch.randn(*shape, 192)
    with torch.inference_mode():
        found = layer(x)
        expected = torch.nn.functional.linear(x, layer.weight, layer.bias)
        alone = torch.stack([layer(row[:1])[0] for row in x])
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if shape[0] * shape[1] <= MOST_ROWS:
        assert torch.equal(found[:, 0], alone)
    else:
        assert torch.equal(found, expected)
    # Training has torch's own product.
    assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))


def test_a_large_layer_of_few_rows_is_exported_as_a_plain_one():
    layer = FewRowsLinear(1024, 1024).eval()
    with torch.no_grad():
        program = torch.export.export(layer, (torch.randn(2, 1024),))
    assert {node.target for node in program.graph.nodes if node.op == "call_function"} == {
        torch.ops.aten.linear.default
    }
