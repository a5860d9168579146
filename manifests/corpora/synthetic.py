"""Read a corpus of `manifests.synthesis.synthesize`: a table `corpus.tsv` and the clips it names."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from manifests.audio.inspection import inspect_file
from manifests.corpus import CorpusOptions, Source, identify
from manifests.reading.listing import FoundFile, file_source, require_folder
from manifests.reading.recording import CorpusMetadata, audio_source_of, build_rows
from warehouse.errors import ManifestError
from warehouse.rows import RecordingRow, SourceRow

TABLE = "corpus.tsv"

_LICENCES = {"joe": "CC0-1.0"}  # by voice; all others are Kokoro's


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRow:
    """A row of `corpus.tsv`, its columns in this order; `accent` is `en-US` or `en-GB`, `duration_s` has two places."""

    id: str
    file: str
    split: str
    voice: str
    accent: str
    gender: str
    kind: str
    speed: str
    duration_s: str
    text: str
    prompt: str
    phonemes: str


COLUMNS = tuple(column.name for column in fields(ClipRow))


def parse_table(content: str) -> list[ClipRow]:
    """Return the rows of a table that may still grow: an unfinished last line is left out.

    Raises ManifestError for other columns than `COLUMNS` and for a row with more or fewer of them.
    """
    header, *lines = content[: content.rfind("\n") + 1].split("\n")
    if header and tuple(header.split("\t")) != COLUMNS:
        raise ManifestError(f"{TABLE} has other columns than {', '.join(COLUMNS)}: name another folder.")
    cells = [line.split("\t") for line in lines if line]
    for number, row in enumerate(cells, start=2):
        if len(row) != len(COLUMNS):
            raise ManifestError(f"Line {number} of {TABLE} has {len(row)} columns, not {len(COLUMNS)}: delete it.")
    return [ClipRow(**dict(zip(COLUMNS, row, strict=True))) for row in cells]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Reader of synthetic speech. The subset is the split, the speaker is the voice, the text is the prompt.

    A clip's etag covers its own row, so a table that grows makes no older clip new.
    """

    kind: ClassVar[str] = "synthetic"
    version: ClassVar[int] = 2

    root: Path
    name: str = "synthetic"
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def find(self) -> Iterator[Source]:
        """Yield every clip, in the order of the table; see `manifests.corpus.Corpus`."""
        require_folder(self.root, self.name)
        root = self.root.absolute()
        for row in _rows(root).values():
            plain = file_source(FoundFile(str(root / row.file), row.file))
            etag = identify(plain.etag, *asdict(row).values())
            yield Source(path=plain.path, relative_path=plain.relative_path, etag=etag, size=plain.size)

    def read(self, source: SourceRow) -> Iterator[RecordingRow]:
        """Yield the recordings of `source`, one for each channel that is read."""
        row = _rows(self.root.absolute()).get(source.relative_path)
        if row is None:
            metadata = CorpusMetadata(faults=(f"no row in {TABLE}",))
        else:
            extra = {key: getattr(row, key) for key in ("id", "accent", "gender", "kind", "speed", "phonemes")}
            metadata = CorpusMetadata(
                subset=row.split,
                licence=_LICENCES.get(row.voice.partition("@")[0], "Apache-2.0"),
                speaker=row.voice,
                language="en",
                text=row.prompt,
                extra={**extra, "origin": "synthetic"},
            )
        inspection = inspect_file(source.path, self.options.channels)
        yield from build_rows(self, source, audio_source_of(source), inspection, metadata)


def _rows(root: Path) -> Mapping[str, ClipRow]:
    """Return file -> row; empty where there is no table."""
    path = root / TABLE
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=4)
def _parsed(path: Path, modified: int) -> Mapping[str, ClipRow]:
    """Return file -> row; `modified` distinguishes a changed table from the cached one."""
    return {row.file: row for row in parse_table(path.read_text(encoding="utf-8"))}
