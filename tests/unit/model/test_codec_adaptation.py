"""Adaptation of a model to the codes of another codec."""

import pytest
import torch

from valle.model.config import ModelConfig
from valle.model.from_codec.adaptation import ParallelCodes, adapt_codes
from valle.model.layout import Head
from valle.model.valle import ValleModel

CODEBOOKS, SIZE = 4, 32


@pytest.fixture
def model():
    torch.manual_seed(1)
    config = ModelConfig(
        num_codebooks=CODEBOOKS, codebook_size=SIZE, frame_rate=75, num_symbols=10, languages=("<unk>",),
        width=48, depth=1, heads=2, feed_forward=64, group=2,
    )  # fmt: skip
    return ValleModel(config)


@pytest.fixture
def codes():
    return torch.randint(SIZE, (CODEBOOKS, 40_000), generator=torch.Generator().manual_seed(0))


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def renamed(codes):
    """The same codes under other names: entry n of a codebook is entry `names[codebook, n]` of the other codec's."""
    generator = torch.Generator().manual_seed(2)
    names = torch.stack([torch.randperm(SIZE, generator=generator) for _ in range(CODEBOOKS)])
    return names, torch.stack([names[codebook][codes[codebook]] for codebook in range(CODEBOOKS)])


def test_codes_under_other_names_have_the_vectors_and_outputs_they_had(model, codes):
    before = state(model)
    names, after = renamed(codes)
    adapt_codes(model, ParallelCodes(codes, after))
    prompts = [state["prompt_codes.weight"].view(CODEBOOKS, SIZE, -1) for state in (before, model.state_dict())]
    targets = [state["target_codes.weight"].view(-1, SIZE + 2, 48) for state in (before, model.state_dict())]
    for codebook in range(CODEBOOKS):
        torch.testing.assert_close(prompts[1][codebook][names[codebook]], prompts[0][codebook], atol=0.1, rtol=0)
    for table, codebook in enumerate([0, 1, 2, 0, 0, 0]):
        torch.testing.assert_close(targets[1][table][names[codebook]], targets[0][table][:SIZE], atol=0.1, rtol=0)
    for (kind, number), (start, end) in model.heads.spans.items():
        if kind not in (Head.CODES, Head.MASKED):
            continue
        codebook = number if kind == Head.CODES and number < CODEBOOKS else 0
        for name in ("heads.weight", "heads.bias"):
            rows, found = before[name][start : start + SIZE], model.state_dict()[name][start : start + SIZE]
            torch.testing.assert_close(found[names[codebook]], rows, atol=0.05, rtol=0)
            stop = slice(start + SIZE, end)
            torch.testing.assert_close(model.state_dict()[name][stop], before[name][stop])


def test_everything_but_codes_stays_as_it_is(model, codes):
    with torch.no_grad():
        model.heads.bias.normal_()
    before = state(model)
    adapt_codes(model, ParallelCodes(codes, renamed(codes)[1]))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"prompt_codes.weight", "target_codes.weight", "heads.weight", "heads.bias"}
    reserved = [state["target_codes.weight"].view(-1, SIZE + 2, 48)[:, SIZE:] for state in (before, model.state_dict())]
    torch.testing.assert_close(*reserved)


def test_what_a_codebook_tells_a_codebook_later_is_told_there(model, codes):
    """The other codec tells in its second codebook what this one tells in its first, and nothing before."""
    before = model.prompt_codes.weight.detach().view(CODEBOOKS, SIZE, -1).clone()
    silent = torch.zeros_like(codes[:1])
    adapt_codes(model, ParallelCodes(codes, torch.cat((silent, codes[:1], codes[2:]))))
    tables = model.prompt_codes.weight.view(CODEBOOKS, SIZE, -1)
    wanted, found = before[0][codes[0]], tables[0][silent[0]] + tables[1][codes[0]]
    common = before[1].mean(0)  # of a codebook that is told nowhere, its mean is left
    assert (wanted + common - found).square().mean() < 0.02 * wanted.square().mean()
