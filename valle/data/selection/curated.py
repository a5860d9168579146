"""Training sets of curated cuts: each cut resolved to a segment of the lake, or to a range of its frames."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from valle.data.selection.cut_list import CuratedCut, named
from valle.data.selection.splits import SPLITS
from warehouse.errors import TrainingError

# Seconds by which a cut may end outside its segment: the rounding of samples and of Lhotse.
_TOLERANCE = 0.02
Phonemize = Callable[[Sequence[str], str], list[list[str]]]
"""Phonemes of texts of a language."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A cut with its segment; `offset` is its start inside the segment in seconds, None for the whole segment."""

    cut: CuratedCut
    segment_id: str
    offset: float | None


def place_cuts(cuts: Sequence[CuratedCut], connection: duckdb.DuckDBPyConnection) -> list[Placed]:
    """Find the segment of each cut, by its id or by its span, in the order of the segments.

    Raises TrainingError that names cuts without a segment, and cuts of which two are of one segment.
    """
    recordings = pa.table({"recording_id": pa.array(sorted({cut.recording_id for cut in cuts}), pa.string())})
    connection.register("cut_recordings", recordings)
    rows = (
        connection.execute(
            'SELECT segment_id, recording_id, "start", duration FROM current_segments '
            "SEMI JOIN cut_recordings USING (recording_id) WHERE drop_reason IS NULL"
        )
        .to_arrow_table()
        .to_pylist()
    )
    connection.unregister("cut_recordings")
    segments: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        segments.setdefault(row["recording_id"], []).append(row)
    placed = [_place(cut, segments.get(cut.recording_id, [])) for cut in cuts]
    unknown = [cut.id for cut, found in zip(cuts, placed, strict=True) if found is None]
    if unknown:
        raise TrainingError(
            f"{named(unknown)} not inside a segment of the lake; prepare their corpus, or leave them out."
        )
    known = [found for found in placed if found is not None]
    counts = Counter(found.segment_id for found in known)
    overlapping = [found.cut.id for found in known if counts[found.segment_id] > 1]
    if overlapping:
        raise TrainingError(f"{named(overlapping)} of a segment that another cut uses too; keep one of each segment.")
    return sorted(known, key=lambda found: found.segment_id)


def _place(cut: CuratedCut, segments: Sequence[dict[str, object]]) -> Placed | None:
    for row in sorted(segments, key=lambda row: row["segment_id"] not in cut.names):
        start, duration = float(str(row["start"])), float(str(row["duration"]))
        offset = cut.start - start
        if offset >= -_TOLERANCE and cut.end <= start + duration + _TOLERANCE:
            is_whole = offset <= _TOLERANCE and cut.end >= start + duration - _TOLERANCE
            return Placed(cut, str(row["segment_id"]), None if is_whole else max(0.0, offset))
    return None


def curate(utterances: pa.Table, placed: Sequence[Placed], *, frame_rate: float, phonemize: Phonemize) -> pa.Table:
    """Return the utterances of the cuts with the spans, texts, weights and test marks that the cuts declare.

    A set with parts of segments has the column `codes_start`, its first frame; null for whole segments. Raises
    TrainingError that names cuts of segments that are not usable, and parts that still have the text of the whole.
    """
    table = utterances.filter(pc.is_in(utterances["segment_id"], pa.array([found.segment_id for found in placed])))
    if table.num_rows != len(placed):
        usable = set(table["segment_id"].to_pylist())
        missing = [found.cut.id for found in placed if found.segment_id not in usable]
        raise TrainingError(
            f"{named(missing)} of segments without text or codes; see `valle sql --query drops_by_reason`."
        )
    rows = [_row(row, found, frame_rate) for row, found in zip(table.to_pylist(), placed, strict=True)]
    _check_texts(table, placed, rows)
    _phonemize(rows, phonemize)
    for name in ("weight", "duration", "text", "symbols", "num_frames", "in_test"):
        column = pa.array([row[name] for row in rows], table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    starts = [row["codes_start"] for row in rows]
    # Without parts the content of a set, and with it its id, is that of the same selection by SQL.
    return (
        table.append_column("codes_start", pa.array(starts, pa.int32()))
        if any(s is not None for s in starts)
        else table
    )


def declared_splits(placed: Sequence[Placed], speakers: Sequence[str]) -> list[str] | None:
    """Return the split of each cut, or None where the list declares none.

    Raises TrainingError for a list that declares only some, and for a speaker in two splits.
    """
    splits = [found.cut.split for found in placed]
    if all(split is None for split in splits):
        return None
    wrong = [found.cut.id for found in placed if found.cut.split not in SPLITS]
    if wrong:
        raise TrainingError(f"{named(wrong)} without a split among {', '.join(SPLITS)}, which others of the list have.")
    of_speaker: dict[str, set[str | None]] = {}
    for speaker, split in zip(speakers, splits, strict=True):
        of_speaker.setdefault(speaker, set()).add(split)
    leaking = sorted(speaker for speaker, found in of_speaker.items() if len(found) > 1)
    if leaking:
        raise TrainingError(
            f"{len(leaking)} speakers are in two splits of the cuts, such as {leaking[0]}; remove the field `split` of "
            "the cuts, so that the split policy divides them by speaker."
        )
    return [str(split) for split in splits]


def _row(row: dict[str, object], found: Placed, frame_rate: float) -> dict[str, object]:
    cut = found.cut
    changed: dict[str, object] = {"in_test": cut.in_test, "codes_start": None}
    if cut.weight is not None:
        changed["weight"] = cut.weight
    if cut.text is not None and cut.text != row["text"]:
        changed["text"] = cut.text
        is_given = cut.symbols is not None and list(cut.symbols) != row["symbols"]
        changed["symbols"] = list(cut.symbols or ()) if is_given else None  # None: phonemize the text
    if found.offset is not None:
        first = round(found.offset * frame_rate)
        left = int(str(row["num_frames"])) - first
        changed |= {"codes_start": first, "num_frames": min(left, round(cut.duration * frame_rate))}
        changed["duration"] = cut.duration
    return row | changed


def _check_texts(table: pa.Table, placed: Sequence[Placed], rows: Sequence[dict[str, object]]) -> None:
    whole_texts = table["text"].to_pylist()
    stale = [
        found.cut.id
        for found, row, text in zip(placed, rows, whole_texts, strict=True)
        if found.offset is not None and row["text"] == text
    ]
    if stale:
        raise TrainingError(
            f"{named(stale)} parts of segments, but their text is that of the whole segment; set the text of the "
            "supervision to the words of the part."
        )
    empty = [found.cut.id for found, row in zip(placed, rows, strict=True) if int(str(row["num_frames"])) < 1]
    if empty:
        raise TrainingError(f"{named(empty)} shorter than a frame of codes; leave them out.")


def _phonemize(rows: Sequence[dict[str, object]], phonemize: Phonemize) -> None:
    by_language: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        if row["symbols"] is None:
            by_language.setdefault(str(row["language"]), []).append(row)
    for language, group in by_language.items():
        for row, symbols in zip(group, phonemize([str(row["text"]) for row in group], language), strict=True):
            row["symbols"] = symbols
