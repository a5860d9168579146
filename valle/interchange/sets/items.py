"""The items of a training set with their codes, one at a time, for the writers of every format."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valle.codec.base import CodecSpec
from valle.data.codes_reader import CodesReader
from valle.data.selection.splits import SPLITS
from valle.data.selection.training_set import TrainingSet

_READ_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportItem:
    """One utterance: codes [K, T] with everything that a training needs, and its provenance."""

    id: str
    split: str
    corpus: str
    speaker: str
    language: str
    licence: str
    text: str
    symbols: tuple[str, ...]
    duration: float
    codes: NDArray[np.int16]

    @property
    def phonemes(self) -> str:
        """Return the phonemes as one string."""
        return "".join(self.symbols)

    @property
    def speaker_path(self) -> str:
        """Return the speaker as a path: the corpus is a folder of its own."""
        parts = [part.strip(". ") or "_" for part in self.speaker.replace(":", "/").split("/")]
        return "/".join(part for part in parts if part)

    @property
    def name(self) -> str:
        """Return the id as a name of a file."""
        return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in self.id)

    def described(self) -> dict[str, Any]:
        """Return everything but the codes, as plain values."""
        return {
            "id": self.id,
            "split": self.split,
            "corpus": self.corpus,
            "speaker": self.speaker,
            "language": self.language,
            "licence": self.licence,
            "text": self.text,
            "symbols": list(self.symbols),
            "phonemes": self.phonemes,
            "duration": self.duration,
        }


def export_items(training_set: TrainingSet) -> Iterator[ExportItem]:
    """Yield the items of every split in the order of the set."""
    spec, reader = training_set.card.codec, CodesReader(training_set.lake)
    for split in SPLITS:
        for table in training_set.tables(split):
            for batch in table.to_batches(_READ_AT_ONCE):
                for row in batch.to_pylist():
                    yield _item(row, reader, spec)


def _item(row: dict[str, Any], reader: CodesReader, spec: CodecSpec) -> ExportItem:
    place = (row["codes_file"], row["codes_row_group"], row["codes_row"])
    return ExportItem(
        id=row["segment_id"],
        split=row["split"],
        corpus=row["corpus"],
        speaker=row["speaker"],
        language=row["language"],
        licence=row["licence"],
        text=row["text"],
        symbols=tuple(row["symbols"]),
        duration=row["duration"],
        codes=reader.read(*place, num_codebooks=spec.num_codebooks),
    )
