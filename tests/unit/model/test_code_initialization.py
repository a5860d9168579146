"""A model whose codes begin as what they sound like."""

import pytest
import torch

from valle.codec import open_codec
from valle.model.config import ModelConfig
from valle.model.from_codec.initialization import init_code_embeddings
from valle.model.layout import Head, Table
from valle.model.valle import ValleModel

CODEBOOKS, SIZE, WIDTH = 4, 64, 48


@pytest.fixture
def config():
    return ModelConfig(
        num_codebooks=CODEBOOKS, codebook_size=SIZE, frame_rate=75, num_symbols=10, languages=("<unk>",),
        width=WIDTH, depth=1, heads=2, feed_forward=64, group=2,
    )  # fmt: skip


@pytest.fixture
def codebooks():
    """Entry 2n + 1 of every codebook sounds like entry 2n; each codebook is half as loud as the one before."""
    drawn = torch.randn(CODEBOOKS, SIZE, 16, generator=torch.Generator().manual_seed(0))
    drawn[:, 1::2] = drawn[:, ::2] + 0.01 * drawn[:, 1::2]
    return drawn * 0.5 ** torch.arange(CODEBOOKS)[:, None, None]


@pytest.fixture
def started(config, codebooks):
    torch.manual_seed(1)
    model = ValleModel(config)
    init_code_embeddings(model, codebooks, seed=0)
    return model


def cosine(a, b):
    """Mean over the entries."""
    return float(torch.cosine_similarity(a, b, dim=1).mean().detach())


def tables(model, codebook):
    """Everything that stands for codes of a codebook: [N, width] each."""
    config = model.config
    found = [model.prompt_codes.weight[codebook * SIZE :][:SIZE]]
    places = [codebook] if codebook < CODEBOOKS - 1 else []
    if codebook == 0:
        following = config.first_table(Table.NEXT_CODES)
        places += [config.first_table(Table.MASKED_CODES), following, following + 1]
    found += [model.target_codes.weight[place * (SIZE + 2) :][:SIZE] for place in places]
    heads = [(Head.CODES, codebook)] + ([(Head.MASKED, 0), (Head.CODES, CODEBOOKS)] if codebook == 0 else [])
    return found + [model.heads.weight[model.heads.spans[head][0] :][:SIZE] for head in heads]


@pytest.mark.parametrize("codebook", range(CODEBOOKS))
def test_codes_that_sound_alike_begin_alike_in_every_table_and_head(started, codebook):
    for table in tables(started, codebook):
        assert cosine(table[::2], table[1::2]) > 0.7
        assert abs(cosine(table[::2], table[1::2].roll(1, 0))) < 0.1


@pytest.mark.parametrize("codebook", range(CODEBOOKS))
def test_a_code_is_the_same_thing_wherever_it_occurs(started, codebook):
    first, *others = tables(started, codebook)
    for other in others:
        assert cosine(first, other) > 0.7


def test_tables_and_heads_are_as_large_as_random_ones_and_deeper_codebooks_fainter(started, config):
    torch.manual_seed(1)
    fresh = ValleModel(config)
    for codebook in range(CODEBOOKS):
        pairs = zip(tables(started, codebook), tables(fresh, codebook), strict=True)
        sizes = [float((one.std() / other.std()).detach()) for one, other in pairs]
        num_heads = 3 if codebook == 0 else 1
        assert sizes[-num_heads:] == pytest.approx([1.0] * num_heads, rel=0.1)
        assert sizes[:-num_heads] == pytest.approx([0.5 ** (codebook / 2)] * (len(sizes) - num_heads), rel=0.1)


def test_what_is_no_code_stays_as_it_was(started, config):
    torch.manual_seed(1)
    fresh = ValleModel(config)
    for place in range(CODEBOOKS + config.group):
        rows = slice(place * (SIZE + 2) + SIZE, (place + 1) * (SIZE + 2))
        assert torch.equal(started.target_codes.weight[rows], fresh.target_codes.weight[rows])
    assert torch.equal(started.ids.weight, fresh.ids.weight)
    stop = started.heads.spans[Head.CODES, 0][1] - 1
    assert torch.equal(started.heads.weight[stop], fresh.heads.weight[stop])


def test_the_embedded_codec_gives_its_codebooks():
    codec = open_codec("mini")
    codes = codec.codebooks
    assert codes.shape == (codec.spec.num_codebooks, codec.spec.codebook_size, 64)
    loudness = codes.std(axis=(1, 2))
    assert (loudness[:-1] > loudness[1:]).all()  # each quantizes what the one before left over
