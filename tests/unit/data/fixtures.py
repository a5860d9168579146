"""Items with realistic lengths, without codes on disk."""

import numpy as np
import pyarrow as pa

from tests.unit.training.toy import SPEC
from valle.data.epoch_rows import sample_copies, sample_mask, sample_rows
from valle.data.items.load import load_items
from valle.data.options import RowOptions
from valle.data.sampler import SamplerOptions
from valle.model.config import preset
from valle.tasks.registry import TASKS

SEED = 3
MIXTURES = ("noise", "reverb", "speaker", "voice", None)
CONFIG = preset("nano", SPEC, num_symbols=16, languages=["en"]).model_copy(update={"frame_rate": 75.0})


def item_table(
    num_items, *, seed=0, num_speakers=20, seconds=None, weight=1.0, similar=None, word_seconds=None, mixed=False
):
    """Columns of `training_items`: log-normal durations of mean 6.2 s between 0.6 and 20 s, 12 symbols a second.

    With `word_seconds` there are words of that length with pauses of a fifth of it, with `mixed` mixtures of all kinds.
    """
    rng = np.random.default_rng(seed)
    if seconds is None:
        seconds = np.clip(rng.lognormal(1.65, 0.6, num_items), 0.6, 20)
    symbols = [["a"] * max(1, int(12 * duration)) for duration in seconds]
    words = [None] * num_items
    if word_seconds is not None:
        starts = [np.arange(0, duration, 1.2 * word_seconds) for duration in seconds]
        words = [np.stack([start, start + word_seconds], axis=1).ravel().tolist() for start in starts]
    weights = np.broadcast_to(weight, num_items)
    return pa.table(
        {
            "segment_id": [f"s{index}" for index in range(num_items)],
            "speaker": [f"p{index}" for index in rng.integers(0, num_speakers, num_items)],
            "language": ["en" if index % 3 else "de" for index in range(num_items)],
            "weight": pa.array(weights, pa.float32()),
            "symbols": symbols,
            "num_frames": pa.array((np.asarray(seconds) * 75).astype(int), pa.int32()),
            "codes_file": [f"codes/part-{index // 512}.parquet" for index in range(num_items)],
            "codes_row_group": pa.array([index // 256 % 2 for index in range(num_items)], pa.int32()),
            "codes_row": pa.array([index % 256 for index in range(num_items)], pa.int32()),
            "duration": np.asarray(seconds, dtype=float),
            "text": ["".join(one) for one in symbols],
            "mixture_kind": pa.array([MIXTURES[index % 5] if mixed else None for index in range(num_items)]),
            "mixture_file": pa.array(["mixtures/part-0.parquet" if mixed else None] * num_items),
            "mixture_row_group": pa.array([index // 256 if mixed else None for index in range(num_items)], pa.int32()),
            "mixture_row": pa.array([index % 256 if mixed else None for index in range(num_items)], pa.int32()),
            "word_times": pa.array(words, pa.list_(pa.float32())),
            "similar": pa.array(similar or [None] * num_items, pa.list_(pa.string())),
        }
    )


def make_items(num_items, **changes):
    return load_items(
        item_table(num_items, **changes),
        lambda symbols: [1, *[5] * len(symbols), 2],
        lambda language: ["<unk>", "de", "en"].index(language),
    )


def row_options(**changes):
    """Text-to-speech alone, with prompts of 3 to 6 seconds."""
    options = {"seed": SEED, "nar_len_ratio": 0.0, "length_ratio": 0.0, "condition_dropout": 0.0}
    return RowOptions(**(options | {"similar_prompt_ratio": 0.0} | changes))


def rows_of_epoch(items, epoch=0, *, tasks=TASKS, **changes):
    options = row_options(**changes)
    return sample_rows(items, *sample_copies(items, options.seed, epoch), options, CONFIG, epoch, tasks)


def mask_of(rows, index, length, epoch=0):
    return sample_mask(rows, index, length, seed=SEED, epoch=epoch)


def sampler_options(*, batch_tokens=8000, window_rows=16_384, config=CONFIG, tasks=TASKS, **rows):
    return SamplerOptions(
        rows=row_options(**rows), batch_tokens=batch_tokens, config=config, tasks=tasks, window_rows=window_rows
    )
