"""CPU time of the loader with tasks on mixtures beside text-to-speech alone: `python benchmarks/task_rows.py`.

`--items` utterances with word times, mixtures and written texts, in data files as the lake has them. An epoch of each
training mix is planned, sampled and collated in turn, `--rounds` times; a ratio is the median of those of the rounds,
whose mixes share the state of the machine. Rows of tasks differ in length and in the frames of a slot, where those of a
mixture are added to those of the output; so the bound is on the time of an element, an id or a frame that is read and
embedded, and those of a slot and of a row are shown beside it. Rows without speech are so short that their fixed cost
counts: the mix of every task is shown without a bound.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import report

from valle.codec.base import CodecSpec
from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.items.items import Items
from valle.data.items.load import load_items
from valle.data.options import RowOptions
from valle.data.sampler import SamplerOptions, iterate_batches
from valle.model.config import ModelConfig, preset

SPEC = CodecSpec("mini", "benchmark", sample_rate=24_000, hop_length=320, num_codebooks=8, codebook_size=1024)
ROWS = 800  # of a row group
KINDS = ("noise", "reverb", "speaker", "voice")
MIXTURE_TASKS = ("suppression_ratio", "removal_ratio", "extraction_ratio", "conversion_ratio")
OTHER_TASKS = ("editing_ratio", "noisy_editing_ratio", "transcription_ratio", "raw_text_ratio", "continuation_ratio")
MIXES: Mapping[str, Mapping[str, float]] = {
    "text-to-speech": {"length_ratio": 0.0},
    "tasks on mixtures": dict.fromkeys(MIXTURE_TASKS, 0.25) | {"length_ratio": 0.0},
    "every task": dict.fromkeys((*MIXTURE_TASKS, *OTHER_TASKS, "phonemes_ratio", "spelling_ratio"), 0.08),
}


def write_codes(path: Path, frames: np.ndarray, num_codebooks: int) -> None:
    """Write a data file of codes, one row group after the other."""
    rng = np.random.default_rng(num_codebooks)
    schema = pa.schema([(f"q{k}", pa.list_(pa.int16())) for k in range(num_codebooks)])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for start in range(0, len(frames), ROWS):
            counts = frames[start : start + ROWS]
            offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
            columns = [
                pa.ListArray.from_arrays(offsets, pa.array(rng.integers(0, 1024, counts.sum()).astype(np.int16)))
                for _ in range(num_codebooks)
            ]
            file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)


def make_items(folder: Path, count: int) -> Items:
    """Write the codes of utterances of 1 to 8 s and return their items."""
    rng = np.random.default_rng(0)
    seconds = rng.uniform(1, 8, count)
    frames = (seconds * SPEC.frame_rate).astype(int)
    write_codes(folder / "codes.parquet", frames, 8)
    write_codes(folder / "mixtures.parquet", frames, 16)
    starts = [np.arange(0, duration, 0.35) for duration in seconds]
    index = np.arange(count)
    places = {"row_group": pa.array(index // ROWS, pa.int32()), "row": pa.array(index % ROWS, pa.int32())}
    table = pa.table(
        {
            "segment_id": [f"s{number}" for number in index],
            "speaker": [f"p{number % 50}" for number in index],
            "language": ["en"] * count,
            "weight": pa.array(np.ones(count), pa.float32()),
            "symbols": [["a"] * int(12 * duration) for duration in seconds],
            "text": ["a" * int(12 * duration) for duration in seconds],
            "duration": seconds,
            "num_frames": pa.array(frames, pa.int32()),
            "word_times": [np.stack([one, one + 0.3], axis=1).ravel().tolist() for one in starts],
            "mixture_kind": [KINDS[number % len(KINDS)] for number in index],
            **{
                f"{name}_file": [f"{file}.parquet"] * count
                for name, file in (("codes", "codes"), ("mixture", "mixtures"))
            },
            **{f"{table}_{name}": column for table in ("codes", "mixture") for name, column in places.items()},
        }
    )
    return load_items(table, lambda symbols: [1, *[5] * len(symbols), 2], lambda _: 1)


def cpu_seconds(
    items: Items, folder: Path, config: ModelConfig, mix: Mapping[str, Any], batches: int
) -> tuple[float, float, float]:
    """Plan and collate the first batches of an epoch, whose codes are in memory.

    Return CPU seconds an element, a slot and a row.
    """
    options = SamplerOptions(rows=RowOptions(**mix), batch_tokens=8192, config=config)
    collator = Collator(items, CodesReader(folder, cache_bytes=1 << 30), config)
    scheduled = list(islice(iterate_batches(items, options, start=Cursor()), batches))
    for planned in scheduled:  # decodes the row groups
        collator(planned)
    started, slots, elements, rows = time.process_time(), 0, 0, 0
    for scheduled_batch in islice(iterate_batches(items, options, start=Cursor()), batches):
        batch = collator(scheduled_batch)
        slots += batch.num_tokens
        rows += len(scheduled_batch.rows)
        elements += sum(len(tensor) for tensor in batch.elements.values())
    seconds = time.process_time() - started
    return seconds / elements, seconds / slots, seconds / rows


def main() -> int:
    """Print microseconds an element of each mix; 1 when tasks on mixtures cost more than 5 % more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    config = preset("nano", SPEC, num_symbols=16, languages=["en"])
    found: dict[str, list[tuple[float, float, float]]] = {mix: [] for mix in MIXES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = make_items(folder, options.items)
        for _ in range(options.rounds):
            for mix, ratios in MIXES.items():
                found[mix].append(cpu_seconds(items, folder, config, ratios, options.batches))
    print(f"load {os.getloadavg()[0]:.1f}; {options.items} utterances, {options.batches} batches of 8,192 slots")
    plain = np.array(found["text-to-speech"])
    medians = {mix: np.median(np.array(times) / plain, axis=0) for mix, times in found.items()}
    for mix, times in found.items():
        element, slot, row = 1e6 * np.median(times, axis=0)
        of_plain = ", ".join(f"{ratio:.2f}" for ratio in medians[mix])
        print(f"{mix:18} {element:.3f} us an element, {slot:.3f} a slot, {row:.0f} a row; {of_plain} of text-to-speech")
    ratio = float(medians["tasks on mixtures"][0])
    name = "CPU of the loader an element, tasks on mixtures / text-to-speech"
    return 0 if report(name, ratio, 1.05, at_least=False) else 1


if __name__ == "__main__":
    sys.exit(main())
