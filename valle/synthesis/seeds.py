"""Seeds from seeds: several sentences and several takes of each, none of which draws what another drew."""

import numpy as np


def nth_seed(seed: int, index: int) -> int:
    """The seed of the `index`-th of several draws: `seed` itself for the first, unrelated 32 bits for the others."""
    return seed if index == 0 else int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
