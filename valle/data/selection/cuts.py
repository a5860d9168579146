"""Export of a training set as Lhotse cuts that refer to codes in the lake: `cuts_<split>.jsonl.gz`."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from manifests.lhotse_codes import CodesPlace, codes_cut_line, write_lines
from manifests.lhotse_lines import AudioFacts
from valle.codec.base import CodecSpec
from valle.data.selection.splits import SPLITS
from warehouse.catalogue.literals import text_literal
from warehouse.lake.store import Location

# Rows that are Python objects at once: a training set has millions of items.
_BATCH = 2_048
_FACTS = """
SELECT i.segment_id, i.recording_id, i.corpus, i.speaker, i.language, i.licence, i.split, i.weight, i.duration, i.text,
       i.symbols, i.num_frames, i.codes_file, i.codes_row_group, i.codes_row, i.codes_start, i.training_set,
       a.words, r.path, r.sample_rate, r.num_samples, r.num_channels, r.channel, r."offset",
       CASE WHEN r.member IS NULL THEN 0 ELSE r.size END AS size, s.start, c.in_test
FROM read_parquet({items}, hive_partitioning = false) i
JOIN chosen c ON c.segment_id = i.segment_id
JOIN current_segments s ON s.segment_id = i.segment_id
JOIN current_recordings r ON r.recording_id = i.recording_id
LEFT JOIN current_alignments a ON a.segment_id = i.segment_id AND a.drop_reason IS NULL
WHERE i.split = '{split}' ORDER BY i.segment_id
"""


def export_cuts(
    items: Location, connection: duckdb.DuckDBPyConnection, *, lake: Location, directory: Path, codec: CodecSpec
) -> dict[str, Path]:
    """Write the cuts of each split of the data file `items` below `directory` and return the files by split.

    `connection` is the catalogue the items were selected from, with their table `chosen`. A selection of these cuts is
    the same set.
    """
    paths = {}
    for split in SPLITS:
        reader = connection.execute(_FACTS.format(items=text_literal(items), split=split)).to_arrow_reader(_BATCH)
        paths[split] = directory / f"cuts_{split}.jsonl.gz"
        write_lines(_lines(reader, lake, codec), paths[split])
    return paths


def _lines(reader: Any, lake: Location, codec: CodecSpec) -> Iterator[dict[str, Any]]:
    @cache
    def path_of(codes_file: str) -> str:
        return str(lake / codes_file)

    for batch in reader:
        for row in batch.to_pylist():
            audio = AudioFacts(
                path=row["path"],
                sample_rate=row["sample_rate"],
                num_samples=row["num_samples"],
                num_channels=row["num_channels"],
                channel=row["channel"],
                offset=row["offset"],
                size=row["size"],
                start=row["start"],
            )
            place = CodesPlace(
                path=path_of(row["codes_file"]),
                num_codebooks=codec.num_codebooks,
                frame_rate=codec.frame_rate,
                codec=codec.label,
            )
            yield codes_cut_line(row, audio, place)
