"""Items with realistic lengths, without codes on disk."""

import numpy as np
import pyarrow as pa

from valle.data.curriculum import LevelCurriculum, level_weights
from valle.data.draws import DrawOptions
from valle.data.items import load_items
from valle.data.sampler import SamplerOptions
from valle.model.placement import Pace


def item_table(num_items, *, seed=0, num_speakers=20, seconds=None, weight=1.0, similar=None):
    """Columns of `training_items`: log-normal durations of mean 6.2 s between 0.6 and 20 s, 12 symbols a second."""
    rng = np.random.default_rng(seed)
    if seconds is None:
        seconds = np.clip(rng.lognormal(1.65, 0.6, num_items), 0.6, 20)
    symbols = [["a"] * max(1, int(12 * duration)) for duration in seconds]
    weights = np.broadcast_to(weight, num_items)
    return pa.table(
        {
            "segment_id": [f"s{index}" for index in range(num_items)],
            "speaker": [f"p{index}" for index in rng.integers(0, num_speakers, num_items)],
            "language": ["en" if index % 3 else "de" for index in range(num_items)],
            "weight": pa.array(weights, pa.float32()),
            "symbols": symbols,
            "num_frames": pa.array((np.asarray(seconds) * 75).astype(int), pa.int32()),
            "codes_part": [f"codes/part-{index // 512}.parquet" for index in range(num_items)],
            "codes_row_group": pa.array([index // 256 % 2 for index in range(num_items)], pa.int32()),
            "codes_row": pa.array([index % 256 for index in range(num_items)], pa.int32()),
            "similar": pa.array(similar or [None] * num_items, pa.list_(pa.string())),
        }
    )


def make_items(num_items, **changes):
    return load_items(
        item_table(num_items, **changes),
        lambda symbols: [1, *[5] * len(symbols), 2],
        lambda language: ["<unk>", "de", "en"].index(language),
    )


def draw_options(**changes):
    options = {
        "seed": 3,
        "curriculum": LevelCurriculum.constant(level_weights("triangular", 8)),
        "prompt_frames": (225, 450),
        "prompt_dropout": 0.1,
    }
    return DrawOptions(**(options | changes))


def sampler_options(*, batch_tokens=8000, window_rows=16_384, pace=None, **draws):
    return SamplerOptions(
        draws=draw_options(**draws), batch_tokens=batch_tokens, pace=pace or Pace(), window_rows=window_rows
    )
