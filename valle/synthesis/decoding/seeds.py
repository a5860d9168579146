"""Derive seeds and random generators: sentences and candidates draw independently of each other."""

import numpy as np
import torch

from valle.synthesis.options import NUM_SEEDS

# Domains of the derivation: the same index of a sentence, a candidate and a draw gives different seeds.
_SENTENCE, _CANDIDATE, _DRAW = 1, 2, 3


def sentence_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th sentence of a text: `seed` itself for the first."""
    return _derive(seed, index, _SENTENCE)


def candidate_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th candidate of an utterance: `seed` itself for the first."""
    return _derive(seed, index, _CANDIDATE)


def draw_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th draw of codebook 0 of one candidate: `seed` itself for the first."""
    return _derive(seed, index, _DRAW)


def seeded_generator(seed: int) -> torch.Generator:
    """Return the generator of one utterance; seeds that exceed 64 bits (seed + 1, seed + trial) wrap around."""
    return torch.Generator().manual_seed(seed % NUM_SEEDS)


def rest_generator(seed: int) -> torch.Generator:
    """Return the generator of codebooks 1 and up of one utterance; codebook 0 has that of the seed itself."""
    return seeded_generator(seed + 1)


def _derive(seed: int, index: int, kind: int) -> int:
    return seed if index == 0 else int(np.random.SeedSequence((seed, kind, index)).generate_state(1)[0])
