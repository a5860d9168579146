"""Audio for codec training: from folders, or from the train split of a training set."""

import csv
from pathlib import Path

import pyarrow as pa

from manifests.audio.audio_files import find_audio_files
from valle.audio import AudioLocation
from valle.data.selection.training_set import load_training_set
from valle.data_root import DataRoot
from warehouse.catalogue.views import connect
from warehouse.errors import ManifestError

LOWEST_RATE = 16_000


def find_clips(directory: Path) -> list[AudioLocation]:
    """Find the audio below `directory`; with a `corpus.tsv`, only its rows of split `main` at 16 kHz or more."""
    table = directory / "corpus.tsv"
    if not table.exists():
        paths = sorted(find_audio_files(directory))
    else:
        with table.open(newline="") as rows:
            paths = [directory / row["file"] for row in csv.DictReader(rows, delimiter="\t") if _is_selected(row)]
    if not paths:
        raise ManifestError(f"{directory} holds no training audio; name a folder of audio files")
    return [AudioLocation(str(path)) for path in paths]


def _is_selected(row: dict[str, str]) -> bool:
    return row.get("split", "main") == "main" and int(row.get("native_sr") or LOWEST_RATE) >= LOWEST_RATE


def clips_of_set(root: DataRoot, name: str) -> list[AudioLocation]:
    """Locate the audio of the train split of a training set, in the order of the segment ids."""
    training_set = load_training_set(root.training_sets / name)
    with connect(root.lake.snapshot(training_set.card.table_versions)) as connection:
        connection.register("items", pa.concat_tables(training_set.tables("train", columns=("segment_id",))))
        rows = connection.execute(
            'SELECT u.path, u."offset", u.size, u.start_sample, u.num_samples, u.channel FROM utterances u '
            "SEMI JOIN items i ON i.segment_id = u.segment_id ORDER BY u.segment_id"
        ).fetchall()
    return [AudioLocation(*row) for row in rows]
