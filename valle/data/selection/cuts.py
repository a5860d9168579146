"""Export of a training set as Lhotse cuts that refer to codes in the lake: `cuts_<split>.jsonl.gz`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from lhotse import MonoCut

from manifests.lhotse_io import CodesPlace, codes_cut, write_cuts
from manifests.lhotse_lines import AudioFacts
from valle.codec.base import CodecSpec
from valle.data.selection.training_set import SPLITS
from warehouse.lake.arrow import from_table
from warehouse.lake.store import Location
from warehouse.model_rows import TrainingItemRow
from warehouse.rows import Word

# Rows that are Python objects at once: a training set has millions of items.
_BATCH = 10_000
_FACTS = """
SELECT i.*, a.words, r.path, r.sample_rate, r.num_samples, r.num_channels, r.channel, r."offset",
       CASE WHEN r.member IS NULL THEN 0 ELSE r.size END AS size, s.start
FROM items i
JOIN current_segments s ON s.segment_id = i.segment_id
JOIN current_recordings r ON r.recording_id = i.recording_id
LEFT JOIN current_alignments a ON a.segment_id = i.segment_id AND a.drop_reason IS NULL
ORDER BY i.segment_id
"""


def export_cuts(
    items: pa.Table,
    connection: duckdb.DuckDBPyConnection,
    *,
    lake: Location,
    directory: Path,
    codec: CodecSpec,
    in_test: pa.ChunkedArray,
) -> dict[str, Path]:
    """Write the cuts of each split of `items` below `directory` and return the files by split.

    `items` has the columns of `TrainingItemRow`; `connection` is the catalogue the items were selected from; `in_test`
    are the segments that the split policy named for test. A selection of these cuts is the same set.
    """
    paths = {}
    tested = frozenset(in_test.to_pylist())
    for split in SPLITS:
        connection.register("items", items.filter(pc.equal(items["split"], split)))
        reader = connection.execute(_FACTS).to_arrow_reader(_BATCH)
        paths[split] = directory / f"cuts_{split}.jsonl.gz"
        write_cuts(_cuts(reader, lake, codec, tested), paths[split])
        connection.unregister("items")
    return paths


def _cuts(reader: Any, lake: Location, codec: CodecSpec, tested: frozenset[str]) -> Iterator[MonoCut]:
    for batch in reader:
        table = pa.Table.from_batches([batch])
        for item, facts in zip(from_table(TrainingItemRow, table), table.to_pylist(), strict=True):
            yield codes_cut(
                item,
                AudioFacts(
                    path=facts["path"],
                    sample_rate=facts["sample_rate"],
                    num_samples=facts["num_samples"],
                    num_channels=facts["num_channels"],
                    channel=facts["channel"],
                    offset=facts["offset"],
                    size=facts["size"],
                    start=facts["start"],
                ),
                CodesPlace(
                    path=str(lake / item.codes_file),
                    num_codebooks=codec.num_codebooks,
                    frame_rate=codec.frame_rate,
                    codec=codec.label,
                ),
                [Word(**word) for word in facts["words"] or ()],
                in_test=item.segment_id in tested,
            )
