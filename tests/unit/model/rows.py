"""Random rows and a small model for the tests of the network."""

import dataclasses

import numpy as np
import torch

from valle.model.batch import make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.tasks.tts import TTS

STOP = 16


def small_config(**changes):
    shape = {"width": 32, "depth": 2, "heads": 2, "feed_forward": 48, "num_symbols": 12} | changes
    return ModelConfig(num_codebooks=8, codebook_size=STOP, frame_rate=75.0, languages=("<unk>", "en"), **shape)


def small_model(**changes):
    torch.manual_seed(0)
    return ValleModel(small_config(**changes)).eval()


def random_row(rng, *, codebook=0, symbols=5, prompt=4, frames=6, columns=8, masked=None):
    return TTS.row(
        symbol_ids=rng.integers(1, 12, symbols),
        language_id=1,
        codebook=codebook,
        prompt=rng.integers(0, STOP, (columns, prompt)).astype(np.int16) if prompt else None,
        target=rng.integers(0, STOP, (columns, frames)).astype(np.int16),
        masked=masked,
    )


def with_part(row, name, value):
    """The row with a field replaced; None empties it."""
    fields = {key: part for key, part in row.fields.items() if key != name}
    return dataclasses.replace(row, fields=fields if value is None else fields | {name: value})


def with_code(row, codebook, frame, *, part="target"):
    """The row with one code replaced by another."""
    codes = row.fields[part].copy()
    codes[codebook, frame] = (codes[codebook, frame] + 1) % STOP
    return with_part(row, part, codes)


def mode_of(codebook):
    return Mode.AR if codebook == 0 else Mode.NAR


def speech(mode, rows, **config):
    """A batch of text-to-speech rows."""
    return make_batch(TTS.layout(mode), rows, small_config(**config))


def frames_of(row):
    return row.fields["target"].shape[1]
