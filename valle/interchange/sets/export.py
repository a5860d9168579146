"""`valle export --training-set`: the writers of all formats, and a folder that appears when it is complete."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from valle.data.selection.training_set import TrainingSet
from valle.interchange.sets.containers import write_folders, write_hdf5
from valle.interchange.sets.items import ExportItem, export_items
from valle.interchange.sets.shards import write_hf_dataset, write_shar, write_webdataset
from warehouse.errors import ConfigurationError, StorageError

Writer = Callable[[Iterable[ExportItem], TrainingSet, Path], int]
WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "vall-e": write_folders,
        "hdf5": write_hdf5,
        "shar": write_shar,
        "webdataset": write_webdataset,
        "hf-dataset": write_hf_dataset,
    }
)
"""Writer of each format; it returns how many items it wrote."""


def export_training_set(training_set: TrainingSet, out: Path, format_name: str) -> int:
    """Write a training set to the new folder `out` and return how many items it has.

    Raises ConfigurationError when `out` exists and StorageError when it cannot be written; then nothing is left.
    """
    if out.exists():
        raise ConfigurationError(f"{out} exists; name a folder that does not.")
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        count = WRITERS[format_name](export_items(training_set), training_set, temporary)
        temporary.replace(out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error.strerror}); free space or choose another.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return count
