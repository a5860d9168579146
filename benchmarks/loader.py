"""Rows of codes a CPU second in training order, beside files of NumPy and HDF5: `python benchmarks/loader.py`.

A set of `--groups` row groups of 1,600 utterances, memory for `--room` of them, and rows at random places, as prompts
of scattered speakers are. The same rows are read from the lake, from `.npy` files and from an HDF5 file, the latter two
by Lhotse. `first` counts the decoding of every row group, `later` is what follows.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from figures import report
from lhotse.features.io import NumpyFilesReader, NumpyFilesWriter, NumpyHdf5Reader, NumpyHdf5Writer
from numpy.typing import NDArray

from valle.data.codes_reader import CodesReader, SpilledGroups

ROWS = 1600
FRAMES = 200
CODEBOOKS = 8
Codes = NDArray[np.int16]


def make_part(folder: Path, groups: int) -> None:
    """Write a data file of codes, encoded as in the lake."""
    rng = np.random.default_rng(0)
    schema = pa.schema([(f"q{k}", pa.list_(pa.int16())) for k in range(CODEBOOKS)])
    offsets = pa.array(np.arange(ROWS + 1, dtype=np.int32) * FRAMES)
    with pq.ParquetWriter(folder / "codes.parquet", schema, compression="zstd", write_page_checksum=True) as file:
        for _ in range(groups):
            columns = [
                pa.ListArray.from_arrays(offsets, pa.array(rng.integers(0, 1024, ROWS * FRAMES).astype(np.int16)))
                for _ in range(CODEBOOKS)
            ]
            file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)


def rows_a_second(read: Callable[[int], Codes], wanted: NDArray[np.int64]) -> float:
    """Rows a CPU second of this process."""
    started = time.process_time()
    for row in wanted.tolist():
        read(row).max()  # touches every code, as the loader does
    return len(wanted) / (time.process_time() - started)


def _read(reader: CodesReader, row: int) -> Codes:
    return reader.read("codes.parquet", *divmod(row, ROWS), num_codebooks=CODEBOOKS)


def readers(folder: Path, groups: int, room: int) -> Iterator[tuple[str, Callable[[int], Codes]]]:
    """Every way to read, with its function from a row to its codes."""
    size = ROWS * FRAMES * CODEBOOKS * 2
    (folder / "decoded").mkdir()
    memory = CodesReader(folder, cache_bytes=size * room + size // 2)
    mapped = CodesReader(
        folder, cache_bytes=size * room + size // 2, spilled=SpilledGroups(folder / "decoded", 1 << 40)
    )
    for name, reader in (("lake, memory alone", memory), ("lake", mapped)):
        yield name, partial(_read, reader)
    with NumpyFilesWriter(folder / "npy") as files, NumpyHdf5Writer(folder / "codes.h5") as hdf5:
        keys = []
        for row in range(groups * ROWS):
            codes = _read(mapped, row)
            keys.append((files.write(f"{row}", codes), hdf5.write(f"{row}", codes)))
    npy, h5 = NumpyFilesReader(folder / "npy"), NumpyHdf5Reader(folder / "codes.h5")
    yield "npy files", lambda row: npy.read(keys[row][0])
    yield "HDF5", lambda row: h5.read(keys[row][1])


def main() -> int:
    """Print rows a CPU second; 1 when the lake is slower than the others or than 1,000."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--room", type=int, default=3, help="row groups that fit into the memory")
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    wanted = rng.integers(0, options.groups * ROWS, options.rows)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_part(folder, options.groups)
        for way, read in readers(folder, options.groups, options.room):
            # Memory alone decodes a group for almost every row: a few rows are enough to tell.
            rows = wanted[:30] if way == "lake, memory alone" else wanted
            found[f"{way}, first"] = rows_a_second(read, rows)
            found[f"{way}, later"] = rows_a_second(read, rows)
    print(f"load {os.getloadavg()[0]:.1f}; {options.groups} row groups, room for {options.room}")
    for way, rate in found.items():
        print(f"{way:28} {rate:10,.0f} rows a CPU second, {rate / found['npy files, later']:6.2f} times npy files")
    others = max(rate for way, rate in found.items() if not way.startswith("lake"))
    good = report("rows a CPU second of the lake, first pass", found["lake, first"], 1000, at_least=True)
    good &= report("rows a CPU second of the lake, later passes", found["lake, later"], 1000, at_least=True)
    good &= report("later passes / the fastest of npy files and HDF5", found["lake, later"] / others, 1, at_least=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
