"""Examples of a run: utterances of the dev split, synthesized by a checkpoint, beside their ground truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from valle.audio import Audio, write_audio
from valle.backends.registry import Backends
from valle.codec.base import Codec, Codes
from valle.data.codes_reader import CodesReader
from valle.data.selection.training_set import TrainingSet
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.synthesis.synthesizer import Prompt, Request, Synthesizer
from warehouse.lake.store import Location

TRUTH = "truth"
"""Folder of the recorded utterances, resynthesized by the codec."""

_Row = Mapping[str, Any]


def speak_examples(
    checkpoint: Path, training_set: TrainingSet, out: Path, *, count: int, seed: int = 0, device: str = "cpu"
) -> list[Path]:
    """Synthesize the first `count` utterances of dev into `out/<checkpoint>/<utterance>.wav`; returns the files.

    The prompt is another utterance of the speaker, if there is one. Does nothing without a dev split. Raises as
    `Synthesizer.load`.
    """
    dev = training_set.split("dev")
    if dev.num_rows == 0 or count == 0:
        return []
    chosen = dev.slice(0, count).to_pylist()
    synthesizer = Synthesizer.load(checkpoint, Backends(device=device))
    reader = _Reader(training_set.lake, training_set.card.codec.num_codebooks)
    _write_truth(chosen, reader, synthesizer.codec, out / TRUTH)
    sampling = read_sampling(checkpoint)
    requests = [_request(row, _prompt(row, dev, reader), sampling, seed) for row in chosen]
    files = [out / checkpoint.name / f"{row['segment_id']}.wav" for row in chosen]
    for file, speech in zip(files, synthesizer.speak_many(requests), strict=True):
        write_audio(file, speech.audio)
    return files


class _Reader:
    """The codes of rows of a training set."""

    def __init__(self, lake: Location, num_codebooks: int) -> None:
        self._reader = CodesReader(lake)
        self._num_codebooks = num_codebooks

    def __call__(self, row: _Row) -> Codes:
        location = (row["codes_file"], row["codes_row_group"], row["codes_row"])
        first = row.get("codes_start")
        stop = None if first is None else first + row["num_frames"]
        return self._reader.read(*location, num_codebooks=self._num_codebooks, start=first or 0, stop=stop)


def _request(row: _Row, prompt: Prompt | None, sampling: SamplingOptions, seed: int) -> Request:
    # An untrained model has no end: twice the recorded duration is enough for an example.
    longest = max(2.0, 2 * float(row["duration"]))
    options = sampling.model_copy(update={"seed": seed, "max_seconds": longest})
    return Request(tuple(row["symbols"]), prompt, row["language"], options)


def _prompt(row: _Row, dev: pa.Table, reader: _Reader) -> Prompt | None:
    is_same_speaker = pc.equal(dev["speaker"], row["speaker"])
    is_other = pc.not_equal(dev["segment_id"], row["segment_id"])
    others = dev.filter(pc.and_(is_same_speaker, is_other)).slice(0, 1).to_pylist()
    return Prompt(reader(others[0])) if others else None


def _write_truth(rows: Sequence[_Row], reader: _Reader, codec: Codec, folder: Path) -> None:
    for row in rows:
        path = folder / f"{row['segment_id']}.wav"
        if not path.exists():
            write_audio(path, Audio(codec.decode([reader(row)])[0], codec.spec.sample_rate))
