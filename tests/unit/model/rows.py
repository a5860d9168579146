"""Random rows and a small model for the tests of the network."""

import dataclasses

import numpy as np
import torch

from valle.model import Mode, ModelConfig, Task, ValleModel, make_batch, speech_row

STOP = 16


def small_config(**changes):
    shape = {"width": 32, "depth": 2, "heads": 2, "feed_forward": 48, "num_symbols": 12} | changes
    return ModelConfig(num_codebooks=8, codebook_size=STOP, frame_rate=75.0, languages=("<unk>", "en"), **shape)


def small_model(**changes):
    torch.manual_seed(0)
    return ValleModel(small_config(**changes)).eval()


def random_row(rng, *, level=0, symbols=5, prompt=4, frames=6, columns=8, masked=None):
    return speech_row(
        symbol_ids=rng.integers(1, 12, symbols),
        language_id=1,
        level=level,
        prompt=rng.integers(0, STOP, (columns, prompt)).astype(np.int16) if prompt else None,
        target=rng.integers(0, STOP, (columns, frames)).astype(np.int16),
        masked=masked,
    )


def with_part(row, name, value):
    """The row with a segment replaced; None empties it."""
    parts = {key: part for key, part in row.parts.items() if key != name}
    return dataclasses.replace(row, parts=parts if value is None else parts | {name: value})


def with_code(row, codebook, frame, *, part="target"):
    """The row with one code replaced by another."""
    codes = row.parts[part].copy()
    codes[codebook, frame] = (codes[codebook, frame] + 1) % STOP
    return with_part(row, part, codes)


def mode_of(level):
    return Mode.AR if level == 0 else Mode.NAR


def speech(mode, rows, **config):
    """A batch of text-to-speech rows."""
    return make_batch(Task.TTS, mode, rows, small_config(**config))


def frames_of(row):
    return row.parts["target"].shape[1]
