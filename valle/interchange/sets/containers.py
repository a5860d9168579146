"""Training sets as folders of speakers with containers, and as one HDF5 file, as e-c-k-e-r/vall-e reads them."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from manifests.codes.containers import write_container
from valle.codec.base import CodecSpec
from valle.data.selection.training_set import TrainingSet
from valle.interchange.sets.items import ExportItem
from valle.phonemes import PhonemeTable
from warehouse.errors import DependencyError

_SUFFIXES = {"dac_44khz": ".dac", "nvidia_44khz": ".nem"}
_SPLITS = {"train": "training", "dev": "validation", "test": "validation"}


def write_folders(items: Iterable[ExportItem], training_set: TrainingSet, out: Path) -> int:
    """Write `out/SPEAKER/ID.enc` and the metadata of each speaker in `out/SPEAKER.json`; return the items."""
    spec = training_set.card.codec
    suffix = _SUFFIXES.get(spec.name, ".enc")
    speakers: dict[str, dict[str, object]] = {}
    count = 0
    for item in items:
        folder = out / item.speaker_path
        folder.mkdir(parents=True, exist_ok=True)
        metadata = _metadata(item, spec)
        write_container(folder / f"{item.name}{suffix}", item.codes, metadata)
        speakers.setdefault(item.speaker_path, {})[item.name] = metadata | {"duration": item.duration}
        count += 1
    for speaker, entries in speakers.items():
        path = out / f"{speaker}.json"
        path.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return count


def write_hdf5(items: Iterable[ExportItem], training_set: TrainingSet, out: Path) -> int:
    """Write `out/data.h5` with `SPLIT/SPEAKER/ID/{audio,text}` and the symbols as `symmap`; return the items."""
    try:
        import h5py
    except ImportError as error:
        raise DependencyError("HDF5 files need h5py: run `pip install h5py`.") from error
    table = PhonemeTable(training_set.card.phoneme_symbols)
    count = 0
    with h5py.File(out / "data.h5", "w") as file:
        for item in items:
            group = file.create_group(f"{_SPLITS[item.split]}/{item.speaker_path}/{item.name}")
            group.create_dataset("audio", data=item.codes.T.astype(np.int16), compression="lzf")
            group.create_dataset("text", data=np.array(table.encode(item.symbols), dtype=np.int16), compression="lzf")
            for name, value in (_metadata(item, training_set.card.codec) | {"duration": item.duration}).items():
                group.attrs[name] = value
            count += 1
        symbols = {symbol: number for number, symbol in enumerate(table.symbols)}
        file["symmap"] = json.dumps(symbols, ensure_ascii=False)
    return count


def _metadata(item: ExportItem, spec: CodecSpec) -> dict[str, object]:
    return {
        "original_length": round(item.duration * spec.sample_rate),
        "sample_rate": spec.sample_rate,
        "text": item.text,
        "phonemes": item.phonemes,
        "language": item.language,
        "licence": item.licence,
        "codec": spec.label,
    }
