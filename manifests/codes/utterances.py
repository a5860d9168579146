"""Utterances of e-c-k-e-r/vall-e as files: a container of codes, and the text and phonemes inside or beside it.

Beside `ID.enc` may be `ID.json`, `ID.phn.txt` (pieces with spaces between them, two for a space) and `ID.txt`; beside
the folder of a speaker may be `SPEAKER.json`, with the metadata of each id. An utterance of an HDF5 file has the path
`FILE.h5/SPLIT/GROUP/SPEAKER/ID`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.codes.containers import UnreadableCodes, container_suffix, read_container
from manifests.codes.hdf5 import open_hdf5, read_item
from manifests.reading.languages import language_of
from manifests.reading.regular import read_limited
from manifests.reading.sidecar import MAX_BYTES, parse_json
from manifests.reading.values import clean, text_of

HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, slots=True)
class CodesUtterance:
    """Codes [K, T] with text, phonemes and language where the files have them; `extra` is the rest."""

    codes: NDArray[np.int16]
    codec: str
    text: str | None
    phonemes: str | None
    language: str | None
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CodecNumbers:
    """Name, sample rate and hop of the codec of a kind of container."""

    name: str
    sample_rate: int
    hop_length: int


ENCODEC = CodecNumbers("encodec_24khz", 24_000, 320)
CODECS: Mapping[str, CodecNumbers] = {
    ".enc": ENCODEC,
    ".qnt.pt": ENCODEC,
    ".dac": CodecNumbers("dac_44khz", 44_100, 512),
    ".nem": CodecNumbers("nvidia_44khz", 44_100, 512),
}
"""Codecs by the suffix of a container."""


def read_utterance(path: str) -> CodesUtterance:
    """Read an utterance by its path. Raises UnreadableCodes with the reason."""
    file, item = split_hdf5_path(path)
    if item:
        with open_hdf5(Path(file)) as opened:
            found = read_item(opened, item)
        return _utterance(found.codes, ENCODEC.name, found.metadata)
    container = read_container(Path(path))
    codec = CODECS[container_suffix(Path(path))].name
    return _utterance(container.codes, codec, {**_beside(Path(path)), **container.metadata})


def split_hdf5_path(path: str) -> tuple[str, str]:
    """Split the path of an utterance in an HDF5 file into the file and the rest, which is empty for other files."""
    for suffix in HDF5_SUFFIXES:
        file, found, item = path.partition(f"{suffix}/")
        if found:
            return file + suffix, item
    return path, ""


def stem_of(path: Path) -> str:
    """Return the name of a container without its suffix."""
    return path.name.removesuffix(container_suffix(path))


def _utterance(codes: NDArray[np.int16], codec: str, metadata: Mapping[str, Any]) -> CodesUtterance:
    known = ("text", "phonemes", "language")
    phonemes = _text(metadata.get("phonemes"))
    return CodesUtterance(
        codes=codes,
        codec=codec,
        # A training needs no text: where there is none, the phonemes take its place.
        text=_text(metadata.get("text")) or phonemes,
        phonemes=phonemes,
        language=language_of(_text(metadata.get("language"))),
        extra=clean({name: value for name, value in metadata.items() if name not in known and _is_plain(value)}),
    )


def _beside(path: Path) -> Mapping[str, Any]:
    """Return the metadata in the files beside a container."""
    stem = stem_of(path)
    metadata = dict(_speaker_metadata(path.parent.with_suffix(".json")).get(stem) or {})
    metadata |= _read_json(path.with_name(f"{stem}.json"))
    if (pieces := _read_text(path.with_name(f"{stem}.phn.txt"))) is not None:
        # An empty piece is a space of the text.
        metadata["phonemes"] = "".join(piece or " " for piece in pieces.strip("\n").split(" "))
    for suffix in (".normalized.txt", ".txt"):
        if (text := _read_text(path.with_name(f"{stem}{suffix}"))) is not None:
            metadata.setdefault("text", text.strip())
    return metadata


@lru_cache(maxsize=64)
def _speaker_metadata(path: Path) -> Mapping[str, Any]:
    return _read_json(path)


def _read_json(path: Path) -> Mapping[str, Any]:
    content = _read_bytes(path)
    if content is None:
        return {}
    found = parse_json(content)
    if found.fault:
        raise UnreadableCodes(f"{path}: {found.fault}")
    return found.values


def _read_text(path: Path) -> str | None:
    content = _read_bytes(path)
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError as error:
        raise UnreadableCodes(f"{path} cannot be read ({error})") from error


def _read_bytes(path: Path) -> bytes | None:
    try:
        return read_limited(str(path), MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableCodes(f"{path} cannot be read ({error})") from error


def _text(value: Any) -> str | None:
    return text_of(value) if isinstance(value, str) else None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) or value is None
