"""Seeds from seeds: several sentences and several takes of each, none of which draws what another drew."""

import numpy as np

_SENTENCE, _TAKE = 1, 2


def sentence_seed(seed: int, index: int) -> int:
    """The seed of the `index`-th sentence of a text: `seed` itself for the first, unrelated for the others."""
    return _nth(seed, index, _SENTENCE)


def take_seed(seed: int, index: int) -> int:
    """The seed of the `index`-th take of an utterance: `seed` itself for the first, unrelated for the others."""
    return _nth(seed, index, _TAKE)


def _nth(seed: int, index: int, kind: int) -> int:
    return seed if index == 0 else int(np.random.SeedSequence((seed, kind, index)).generate_state(1)[0])
