"""Training sets as shards: WebDataset tars, Parquet files that `datasets` loads, and Lhotse Shar."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valle.data.selection.splits import SPLITS
from valle.data.selection.training_set import TrainingSet
from valle.interchange.cards import training_set_card
from valle.interchange.sets.items import ExportItem

_ITEMS_PER_TAR = 5_000
_ROWS_AT_ONCE = 500
_CUTS_PER_SHARD = 1_000
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("corpus", pa.string()),
        ("speaker", pa.string()),
        ("language", pa.string()),
        ("licence", pa.string()),
        ("text", pa.string()),
        ("symbols", pa.list_(pa.string())),
        ("phonemes", pa.string()),
        ("duration", pa.float64()),
        ("codes", pa.list_(pa.list_(pa.int16()))),
    ]
)


def write_webdataset(items: Iterable[ExportItem], training_set: TrainingSet, out: Path) -> int:
    """Write `out/SPLIT-000000.tar` with `ID.npy`, codes [K, T], and `ID.json`; return the items."""
    count, counts = 0, dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        tars: dict[str, tarfile.TarFile] = {}
        for item in items:
            number, place = divmod(counts[item.split], _ITEMS_PER_TAR)
            if place == 0:
                if item.split in tars:
                    tars[item.split].close()
                path = out / f"{item.split}-{number:06d}.tar"
                tars[item.split] = stack.enter_context(tarfile.open(path, "w"))
            for suffix, content in _members(item):
                member = tarfile.TarInfo(f"{item.name}.{suffix}")
                member.size = len(content)
                tars[item.split].addfile(member, io.BytesIO(content))
            counts[item.split] += 1
            count += 1
    return count


def _members(item: ExportItem) -> Iterator[tuple[str, bytes]]:
    codes = io.BytesIO()
    np.save(codes, item.codes, allow_pickle=False)
    yield "npy", codes.getvalue()
    yield "json", json.dumps(item.described(), ensure_ascii=False).encode()


def write_hf_dataset(items: Iterable[ExportItem], training_set: TrainingSet, out: Path) -> int:
    """Write `out/data/SPLIT.parquet` and a dataset card in `out/README.md`; return the items."""
    (out / "data").mkdir()
    count = 0
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        pending: dict[str, list[ExportItem]] = {split: [] for split in SPLITS}

        def flush(split: str) -> None:
            if pending[split]:
                if split not in writers:
                    path = out / "data" / f"{split}.parquet"
                    writers[split] = stack.enter_context(pq.ParquetWriter(path, _SCHEMA))
                rows = [item.described() | {"codes": item.codes.tolist()} for item in pending[split]]
                writers[split].write_table(pa.Table.from_pylist(rows, _SCHEMA))
                pending[split] = []

        for item in items:
            pending[item.split].append(item)
            count += 1
            if len(pending[item.split]) >= _ROWS_AT_ONCE:
                flush(item.split)
        for split in SPLITS:
            flush(split)
    (out / "README.md").write_text(training_set_card(training_set), encoding="utf-8")
    return count


def write_shar(items: Iterable[ExportItem], training_set: TrainingSet, out: Path) -> int:
    """Write `out/SPLIT` as Lhotse Shar, with the codes [T, K] of each cut as the field `codes`; return the items."""
    from lhotse.shar import SharWriter

    count = 0
    frame_rate = training_set.card.codec.frame_rate
    with ExitStack() as stack:
        writers: dict[str, SharWriter] = {}
        for item in items:
            if item.split not in writers:
                (out / item.split).mkdir()
                writer = SharWriter(str(out / item.split), fields={"codes": "numpy"}, shard_size=_CUTS_PER_SHARD)
                writers[item.split] = stack.enter_context(writer)
            writers[item.split].write(_cut(item, frame_rate))
            count += 1
    return count


def _cut(item: ExportItem, frame_rate: float) -> Any:
    """Return a cut without audio that has its codes in memory."""
    from lhotse import MonoCut, SupervisionSegment

    duration = round(item.codes.shape[1] / frame_rate, 8)
    supervision = SupervisionSegment(
        id=item.id,
        recording_id=item.id,
        start=0.0,
        duration=duration,
        text=item.text,
        speaker=item.speaker,
        language=item.language,
        custom={"symbols": list(item.symbols), "licence": item.licence},
    )
    cut = MonoCut(id=item.id, start=0.0, duration=duration, channel=0, supervisions=[supervision])
    return cut.attach_tensor("codes", np.ascontiguousarray(item.codes.T), frame_shift=1 / frame_rate, temporal_dim=0)
