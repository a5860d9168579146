"""Comparison of a file of weights with a folder of fixtures: logits, greedy traces, symbols, and files of codes.

The folder may have `logits.npz` and `decode.npz` (newer sums), `logits_2412.npz` (older sums, with the inputs of
`logits.npz`), `lora/NAME.sft` with `lora/logits_NAME.npz`, `phonemes.json`, and `data/` with containers and HDF5.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from manifests.codes.containers import UnreadableCodes, container_suffix, read_container
from manifests.codes.hdf5 import read_items
from valle.codec.base import CodecSpec
from valle.interchange.verify.modes import Arrays, ModeDifference, compare_modes
from valle.interchange.verify.traces import TraceResult, compare_traces
from valle.interchange.weights.description import Era, fit_codec
from valle.interchange.weights.importing import convert, open_weights
from valle.model.valle import ValleModel
from valle.phonemes import PLAIN, open_phonemizer
from valle.phonemes.pieces import PieceTable, piece_table
from warehouse.errors import CheckpointError

SAME_SENTENCES = 0.95
"""Ratio of sentences that need the same ids."""


@dataclass(frozen=True, slots=True)
class SentenceDifference:
    """A sentence with other ids, and the first place where they differ."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class FixtureReport:
    """Everything that was compared; lists and counts of what the folder lacks are empty and 0.

    `other_sentences` have other ids from the stored phonemes, `other_texts` from the text.
    """

    modes: Mapping[str, list[ModeDifference]] = field(default_factory=dict)
    traces: list[TraceResult] = field(default_factory=list)
    sentences: int = 0
    other_sentences: list[SentenceDifference] = field(default_factory=list)
    other_texts: list[SentenceDifference] = field(default_factory=list)
    containers: int = 0
    hdf5_items: int = 0
    unreadable: list[str] = field(default_factory=list)

    @property
    def is_within_tolerance(self) -> bool:
        """Return whether something was compared and nothing misses its tolerance."""
        differences = [mode for modes in self.modes.values() for mode in modes]
        return (
            any(mode.compared for mode in differences)
            and all(mode.is_equal for mode in differences)
            and all(trace.is_equal is not False for trace in self.traces)
            and max(len(self.other_sentences), len(self.other_texts)) <= (1 - SAME_SENTENCES) * self.sentences
            and not self.unreadable
        )


def verify_fixtures(file: Path, fixtures: Path, codec: CodecSpec, config: Path | None = None) -> FixtureReport:
    """Compare a file of weights with every fixture of a folder. Raises CheckpointError where neither can be read."""
    if not fixtures.is_dir():
        raise CheckpointError(f"There is no folder of fixtures at {fixtures}.")
    weights = open_weights(file, config=config)
    codec = fit_codec(weights, codec)
    newer = convert(weights, codec, Era.SINCE_2025_03).build()
    inputs = _arrays(fixtures / "logits.npz")
    modes: dict[str, list[ModeDifference]] = {}
    if inputs:
        modes[str(Era.SINCE_2025_03)] = compare_modes(newer, inputs, inputs)
    if older := _arrays(fixtures / "logits_2412.npz"):
        model = convert(weights, codec, Era.UNTIL_2025_03).build()
        modes[str(Era.UNTIL_2025_03)] = compare_modes(model, older if _has_inputs(older) else inputs, older)
    for adapter, arrays in _adapters(fixtures):
        adapted = convert(open_weights(file, config=config, adapters=[adapter]), codec, Era.SINCE_2025_03).build()
        modes[f"with {adapter.name}"] = compare_modes(adapted, arrays if _has_inputs(arrays) else inputs, arrays)
    sentences, table = _sentences(fixtures / "phonemes.json"), piece_table(weights.strings)
    containers, hdf5_items, unreadable = _read_codes(fixtures / "data")
    return FixtureReport(
        modes,
        _traces(newer, inputs, fixtures),
        len(sentences),
        [difference for one in sentences if (difference := _difference(one, table))],
        compare_texts(sentences, table),
        containers,
        hdf5_items,
        unreadable,
    )


def _arrays(path: Path) -> Arrays:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _has_inputs(arrays: Arrays) -> bool:
    return any(name.startswith("in.phn.") for name in arrays)


def _adapters(fixtures: Path) -> Iterator[tuple[Path, Arrays]]:
    for adapter in sorted((fixtures / "lora").glob("*.sft")):
        if arrays := _arrays(adapter.with_name(f"logits_{adapter.stem}.npz")):
            yield adapter, arrays


def _traces(model: ValleModel, inputs: Arrays, fixtures: Path) -> list[TraceResult]:
    traces = _arrays(fixtures / "decode.npz")
    return compare_traces(model, inputs, traces) if traces and inputs else []


def _sentences(path: Path) -> list[Mapping[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["sentences"] if path.is_file() else []


def _difference(sentence: Mapping[str, Any], table: PieceTable) -> SentenceDifference | None:
    """Compare the ids of a sentence's phonemes, as they are and without marks of language."""
    for phonemes, ids in (("phonemes", "ids"), ("phonemes_cleaned", "ids_cleaned")):
        ours, theirs = table.encode([sentence[phonemes]]), sentence[ids]
        if ours != theirs:
            pairs = enumerate(zip(ours, theirs, strict=False))
            place = next((index for index, (one, other) in pairs if one != other), min(len(ours), len(theirs)))
            return SentenceDifference(
                sentence["text"],
                f"{sentence[phonemes]!r} becomes {ours[place : place + 3]} at {place} and not "
                f"{theirs[place : place + 3]}",
            )
    return None


def compare_texts(sentences: Sequence[Mapping[str, Any]], table: PieceTable) -> list[SentenceDifference]:
    """Return the sentences whose text has other ids than the original program computed, each with the reason."""
    phonemizer = open_phonemizer(PLAIN)
    differences = []
    for sentence in sentences:
        phonemes = phonemizer.phonemize([sentence["text"]], sentence["language"])[0]
        if table.encode(phonemes) != sentence["ids"]:
            reason = f"{''.join(phonemes)!r} and not {sentence['phonemes']!r}: {_explain(sentence['language'])}"
            differences.append(SentenceDifference(sentence["text"], reason))
    return differences


def _explain(language: str) -> str:
    if language == "ja" and find_spec("pykakasi") is None:
        return "kanji are read by another dictionary; pip install 'valle[vall-e]' installs the original one"
    return "another version of espeak-ng"


def _read_codes(folder: Path) -> tuple[int, int, list[str]]:
    """Read every container and HDF5 file of a folder: their number, that of items, and what cannot be read."""
    containers, items, unreadable = 0, 0, []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            if container_suffix(path):
                read_container(path)
                containers += 1
            elif path.suffix in (".h5", ".hdf5"):
                items += sum(1 for _ in read_items(path))
        except UnreadableCodes as error:
            unreadable.append(str(error))
    return containers, items, unreadable
