"""Random rows and a small model for the tests of the network."""

import numpy as np
import torch

from valle.model import Mode, ModelConfig, Row, ValleModel

STOP = 16


def small_config(**changes):
    shape = {"width": 32, "depth": 2, "heads": 2, "feed_forward": 48, "num_symbols": 12} | changes
    return ModelConfig(num_codebooks=8, codebook_size=STOP, frame_rate=75.0, languages=("<unk>", "en"), **shape)


def small_model(**changes):
    torch.manual_seed(0)
    return ValleModel(small_config(**changes)).eval()


def random_row(rng, *, level=0, symbols=5, prompt=4, frames=6, columns=8):
    return Row(
        symbol_ids=rng.integers(1, 12, symbols),
        language_id=1,
        level=level,
        prompt=rng.integers(0, STOP, (columns, prompt)).astype(np.int16) if prompt else None,
        target=rng.integers(0, STOP, (columns, frames)).astype(np.int16),
    )


def mode_of(level):
    return Mode.AR if level == 0 else Mode.NAR
