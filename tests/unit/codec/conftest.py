import numpy as np
import pytest
import torch

from valle.codec.mini.codec import MiniCodec
from valle.codec.mini.network import MiniConfig, MiniNetwork

RAGGED = (1, 319, 320, 321, 4_000, 9_599, 9_600, 24_001)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def ragged_clips():
    """Noise of awkward lengths, several of them equal, in no order."""
    rng = np.random.default_rng(5)
    lengths = [RAGGED[index % len(RAGGED)] for index in rng.permutation(12)]
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]


@pytest.fixture
def small_config():
    return MiniConfig(dim=32, intermediate_dim=64, decoder_layers=2, latent_dim=16, codebook_size=64)


@pytest.fixture
def random_network():
    """Builds a network of a given shape with random weights and codebooks."""

    def build(config):
        torch.manual_seed(3)
        network = MiniNetwork(config)
        network.quantizer.codebooks.normal_(0, 0.5)
        decoder = network.decoder
        for layer in (decoder.phase, decoder.gains, decoder.band_offsets):  # A training begins with zeros.
            torch.nn.init.normal_(layer.weight, std=0.05)
        return network

    return build


@pytest.fixture
def full_size_codec(random_network):
    """The shape that is shipped, with random weights: batching must be exact for any weights."""
    return MiniCodec(random_network(MiniConfig()), revision="00000000")
