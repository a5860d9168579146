"""Read LibriTTS (`.normalized.txt` beside each utterance) and LibriSpeech (one `.trans.txt` per chapter).

Zen et al. 2019, "LibriTTS"; Panayotov et al. 2015, "LibriSpeech". Both have the layout `<subset>/<speaker>/<chapter>/`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from manifests.audio.inspection import inspect_file
from manifests.audio.suffixes import AUDIO_SUFFIXES
from manifests.corpus import CorpusOptions, Source
from manifests.reading.listing import file_source, require_folder, walk
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from manifests.reading.regular import read_limited
from manifests.reading.sidecar import MAX_BYTES, TextFile, read_text
from manifests.reading.values import text_of
from warehouse.rows import RecordingRow, SourceRow

# Releases name the table of speakers differently.
_SPEAKER_TABLES = ("SPEAKERS.txt", "SPEAKERS.TXT", "speakers.tsv")


@dataclass(frozen=True, slots=True)
class LibriTts:
    """Reader of LibriTTS and LibriTTS-R; `root` has the subsets (`train-clean-100`, ...).

    The normalised text is the transcript and the original one goes into `extra`; `book` is reader and chapter. A
    speaker table in or above the root adds the reader's gender and name to `extra`.
    """

    kind: ClassVar[str] = "libritts"
    version: ClassVar[int] = 2

    root: Path
    name: str = "libritts"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every utterance below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, AUDIO_SUFFIXES):
            stem = _without_suffix(found.path)
            yield file_source(found, f"{stem}.normalized.txt", f"{stem}.original.txt")

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        stem = _without_suffix(source.path)
        text, original = read_text(f"{stem}.normalized.txt"), read_text(f"{stem}.original.txt")
        extra = {} if original.text is None else {"original_text": original.text}
        yield from _rows(self, source, text, extra)


@dataclass(frozen=True, slots=True)
class LibriSpeech:
    """Reader of LibriSpeech; `root` has the subsets (`dev-clean`, ...).

    The transcript is in capitals without punctuation; it is given in lower case, since capitals may be spelled out by a
    phonemizer. Everything else as in `LibriTts`.
    """

    kind: ClassVar[str] = "librispeech"
    version: ClassVar[int] = 2

    root: Path
    name: str = "librispeech"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every utterance below the root; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        for found in walk(self.root, AUDIO_SUFFIXES):
            yield file_source(found, _transcript_path(found.path))

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        yield from _rows(self, source, _transcript(source.path), {})


def _rows(
    corpus: LibriTts | LibriSpeech, source: SourceRow, text: TextFile, extra: Mapping[str, Any]
) -> Iterator[RecordingRow]:
    folders = PurePosixPath(source.relative_path).parts[:-1]
    speaker = folders[-2] if len(folders) >= 2 else None
    metadata = CorpusMetadata(
        subset="/".join(folders[:-2]),
        licence="CC-BY-4.0",
        speaker=speaker,
        language="en",
        text=text.text,
        book="-".join(folders[-2:]) or None,
        extra={**_about(corpus.root, speaker), **extra},
        faults=(text.fault or (None if text.text else "no transcript"),),
    )
    inspection = inspect_file(source.path, corpus.options.channels)
    return build_rows(corpus, source, audio_source_of(source), inspection, metadata)


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122 - a string, as in the listing


def _transcript_path(audio: str) -> str:
    chapter = Path(audio).name.rpartition("-")[0]
    return str(Path(audio).with_name(f"{chapter}.trans.txt"))


def _transcript(audio: str) -> TextFile:
    """Return the line of the chapter's transcript that begins with the utterance's id."""
    chapter = read_text(_transcript_path(audio))
    prefix = f"{Path(audio).stem} "
    lines = (chapter.text or "").splitlines()
    line = next((line for line in lines if line.startswith(prefix)), "")
    text = text_of(line.removeprefix(prefix))
    return TextFile(text.lower() if text and text.isupper() else text, chapter.fault)


def _about(root: Path, speaker: str | None) -> Mapping[str, str]:
    """Return the gender and name of a reader in the speaker table; empty without a table or a row."""
    for path in (folder / name for folder in (root, root.parent) for name in _SPEAKER_TABLES):
        try:
            return _speakers(str(path), path.stat().st_mtime_ns).get(speaker or "", {})
        except OSError:
            continue
    return {}


@lru_cache(maxsize=4)
def _speakers(path: str, modified: int) -> Mapping[str, Mapping[str, str]]:
    """Return reader -> gender and name, from `SPEAKERS.txt` (`id | sex | subset | minutes | name`) or `speakers.tsv`.

    `modified` distinguishes a changed table from the cached one.
    """
    text = read_limited(path, MAX_BYTES).decode("utf-8", "replace")
    separator = "\t" if path.endswith(".tsv") else "|"
    table = {}
    for line in text.splitlines():
        fields = [piece.strip() for piece in line.split(separator)]
        if not line.startswith(";") and len(fields) >= 4 and fields[1] in ("M", "F"):
            table[fields[0]] = {"gender": fields[1], "speaker_name": fields[-1]}
    return table
