"""Choose the clips of a codec report: utterances of the lake, or a folder with a `corpus.tsv`."""

import csv
from pathlib import Path

import numpy as np

from valle.audio import AudioLocation
from valle.data.training_audio import LOWEST_RATE
from valle.evaluation.items.items import EvaluationItem
from warehouse.catalogue.views import check_expression, connect, run_select
from warehouse.errors import ManifestError, StageError
from warehouse.lake.tables import Lake

PROTOCOL = "resynthesis"
_COLUMNS = ("id", "split", "file", "text")


def _item(
    utterance: str, text: str, language: str, speaker: str, location: AudioLocation, seconds: float
) -> EvaluationItem:
    """Return an utterance that is its own prompt, since a codec should preserve the speaker."""
    return EvaluationItem(
        utterance=utterance,
        text=text,
        language=language,
        speaker=speaker,
        location=location,
        duration=seconds,
        prompt=utterance,
        prompt_location=location,
        prompt_text="",
        prompt_duration=seconds,
        protocol=PROTOCOL,
    )


def clips_of_folder(directory: Path, *, split: str, count: int, longest: float) -> list[EvaluationItem]:
    """Return up to `count` clips of at most `longest` seconds, spread evenly over a split of `corpus.tsv`.

    The table has the columns `id`, `split`, `file`, `text`, and `duration` or `duration_s` in seconds. Rows below
    16 kHz are skipped. Raise ManifestError for a table without those columns, and when no row remains.
    """
    table = directory / "corpus.tsv"
    if not table.exists():
        raise ManifestError(f"{directory} has no corpus.tsv; name a folder that has one, or utterances of the lake.")
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    seconds = "duration_s" if rows and "duration_s" in rows[0] else "duration"
    missing = [column for column in (*_COLUMNS, seconds) if rows and column not in rows[0]]
    if missing:
        raise ManifestError(f"{table} has no column {missing[0]}; it needs {', '.join(_COLUMNS)} and duration.")
    rows = [row for row in rows if row["split"] == split and row["text"] and float(row[seconds]) <= longest]
    rows = [row for row in rows if int(row.get("native_sr") or LOWEST_RATE) >= LOWEST_RATE]
    if not rows:
        raise ManifestError(f"{table} has no row of split {split} with a text and {LOWEST_RATE} Hz or more.")
    # Evenly spread, because neighbouring rows share speaker and recording.
    chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)
    return [
        _item(
            row["id"],
            row["text"],
            row.get("language") or "en",
            row.get("speaker") or row["id"],
            AudioLocation(str(directory / row["file"])),
            float(row[seconds]),
        )
        for row in (rows[index] for index in chosen)
    ]


def clips_of_lake(lake: Lake, *, where: str, count: int, longest: float) -> list[EvaluationItem]:
    """Return up to `count` utterances that satisfy `where` (SQL on `utterances`), chosen by the hash of their ids.

    Raise StageError when there is none.
    """
    with connect(lake.snapshot()) as connection:
        rows = run_select(
            connection,
            'SELECT segment_id, text, language, coalesce(speaker, recording_id) AS speaker, path, "offset", size, '
            "start_sample, num_samples, channel, duration FROM utterances "
            f"WHERE ({check_expression(where, option='where')}) AND duration <= ? "
            "ORDER BY md5(segment_id) LIMIT ?",
            [longest, count],
            lake=lake,
        ).to_pylist()
    if not rows:
        raise StageError(f"No utterance of at most {longest:g} s satisfies {where!r}; see `valle stats`.")
    return [
        _item(
            row["segment_id"],
            row["text"],
            row["language"],
            row["speaker"],
            AudioLocation(
                row["path"], row["offset"], row["size"], row["start_sample"], row["num_samples"], row["channel"]
            ),
            row["duration"],
        )
        for row in rows
    ]
