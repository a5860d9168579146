"""Read transcriptions and similarities that another program made, as score rows.

The table is tab-separated, with a header that names at least `utterance`, `trial`, `reference`, `hypothesis` and
`sim_o`; other columns are ignored, and gzip is recognised by its content. The speaker of `1089-134686-0002` is `1089`,
as LibriSpeech names its utterances, unless a column `speaker` names another. An empty hypothesis is missing speech: all
of its words are errors and its SIM-o is 0.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from valle.text.errors import count_character_errors, count_word_errors
from valle.text.normalise import Normaliser
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

COLUMNS = ("utterance", "trial", "reference", "hypothesis", "sim_o")
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class ExternalScores:
    """Score rows of a table, and the lines that have none because the normaliser leaves no word of their reference."""

    rows: list[ScoreRow]
    excluded: tuple[str, ...]


def read_transcripts(path: Path, normaliser: Normaliser, *, language: str = "en") -> ExternalScores:
    """Return one score row per line of the table at `path`; the name of the file is the name of the system.

    A line whose reference has no word under the normaliser is excluded, since its rate of errors is undefined. Raise
    ConfigurationError with the number of an invalid line: a missing column, a trial that is no number, a similarity
    outside -1..1, or the same trial twice.
    """
    lines = _lines(path)
    name = path.name.removesuffix(".gz").removesuffix(".tsv")
    _, header = next(lines, (1, []))
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise ConfigurationError(
            f"{path}, line 1: the header must name {', '.join(COLUMNS)}; {', '.join(missing)} is not there."
        )
    rows: dict[tuple[str, int], ScoreRow] = {}
    excluded: list[str] = []
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) != len(header):
            raise ConfigurationError(f"{where}: there are {len(cells)} columns where the header names {len(header)}.")
        record = dict(zip(header, cells, strict=True))
        # Excluded before the row is built, because a rate over no words is undefined.
        if not normaliser(record["reference"], language).split():
            excluded.append(f"line {number}, {record['utterance']}")
            continue
        row = _row(record, name, normaliser, language, where)
        if (row.utterance, row.trial) in rows:
            raise ConfigurationError(f"{where}: trial {row.trial} of {row.utterance} is repeated; keep one.")
        rows[row.utterance, row.trial] = row
    if not rows:
        raise ConfigurationError(
            f"{path} has no line with a word under {normaliser.name} ({len(excluded)} excluded); give it at least one."
        )
    _require_similarities(list(rows.values()), path)
    return ExternalScores(list(rows.values()), tuple(excluded))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as a table of UTF-8 text ({error}).") from error
    # Texts contain quotation marks, which quote nothing in such tables.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {reader.line_num}: {error}.") from error


def _number(text: str, where: str, column: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {column} is {text!r}, which is no number; correct it.") from error
    if not math.isfinite(value):
        raise ConfigurationError(f"{where}: {column} is {text!r}, which is no finite number; correct it.")
    return value


def _trial(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ConfigurationError(f"{where}: trial is {text!r}, which is no whole number; correct it.") from error


def _similarity(text: str, where: str) -> float | None:
    value = _number(text, where, "sim_o")
    if value is not None and abs(value) > 1.0:
        raise ConfigurationError(f"{where}: sim_o is {value}, outside the range of a cosine; correct it.")
    return value


def _row(record: dict[str, str], system: str, normaliser: Normaliser, language: str, where: str) -> ScoreRow:
    utterance = record["utterance"]
    if not utterance:
        raise ConfigurationError(f"{where}: the utterance has no name; give it one.")
    reference = normaliser(record["reference"], language)
    hypothesis = normaliser(record["hypothesis"], language)
    words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
    trial = _trial(record["trial"], where)
    return ScoreRow(
        score_id="/".join((system, utterance, str(trial), normaliser.label)),
        evaluation="transcripts",
        protocol="given",
        system=system,
        checkpoint_id=None,
        utterance=utterance,
        prompt=None,
        trial=trial,
        speaker=record.get("speaker") or utterance.split("-")[0],
        path=utterance if record["hypothesis"].strip() else None,
        duration=None,
        reference=reference,
        hypothesis=hypothesis,
        normaliser=normaliser.label,
        asr_model="given",
        num_words=words.length,
        word_errors=words.errors,
        num_characters=characters.length,
        character_errors=characters.errors,
        speaker_model="given",
        sim_o=_similarity(record["sim_o"], where),
        generation_seconds=None,
        scored_at=datetime.now(UTC),
    )


def _require_similarities(rows: Sequence[ScoreRow], path: Path) -> None:
    """Require the similarity of all speech or of none: a mean over a selection is biased."""
    present = [row for row in rows if row.path is not None]
    without = [row for row in present if row.sim_o is None]
    if without and len(without) < len(present):
        first = without[0]
        raise ConfigurationError(
            f"{path}: {len(without)} of {len(present)} lines with speech have no sim_o, first trial {first.trial} "
            f"of {first.utterance}; give it for all of them or for none."
        )
