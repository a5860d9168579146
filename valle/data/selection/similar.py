"""Most similar utterances of a speaker, as prompts that a model can follow.

A speaker sounds different from utterance to utterance, and a model learns to follow prompts only from prompts that
resemble their targets. Similarity is the cosine of speaker embeddings.
"""

from collections.abc import Iterator
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_SIMILAR = 4
"""Similar utterances of each utterance."""
MIN_COSINE = 0.5
"""Utterances below this similarity are probably of another speaker, in spite of the label."""
_BLOCK = 1024
_MAX_COSINES = 1 << 26
# Rows that are read and written at once, and tables that wait to be written.
_ROWS = 65_536
_MAX_TABLES = 1000


def find_similar(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `similar_segments` of `chosen`: `segment_id` and `similar`, ids of its speaker, nearest first.

    Utterances without an embedding or without a similar one are left out, so the table is empty when the `speakers`
    stage has not run. One speaker is in memory at a time.
    """
    connection.execute('CREATE TABLE similar_segments (segment_id VARCHAR, "similar" VARCHAR[])')
    reader = connection.execute(
        """
        SELECT w.speaker || ' by ' || v.model AS speaker, w.segment_id, v.embedding
        FROM chosen w JOIN current_speakers v USING (segment_id)
        WHERE v.embedding IS NOT NULL ORDER BY 1, w.segment_id
        """
    ).to_arrow_reader(_ROWS)
    # A second connection to the same database: the first is being read.
    with connection.cursor() as writer:
        for found in _joined(_similar(ids, nearest_clips(vectors)) for ids, vectors in _by_speaker(reader)):
            writer.register("found", found)
            writer.execute("INSERT INTO similar_segments FROM found")
            writer.unregister("found")


def _similar(ids: pa.Array, nearest: NDArray[np.int64]) -> pa.Table:
    """Return the rows of one speaker from the indices [n, MAX_SIMILAR] of `nearest_clips`."""
    is_similar = nearest >= 0
    has_any = is_similar.any(axis=1)
    starts = np.concatenate([[0], np.cumsum(is_similar.sum(axis=1)[has_any])]).astype(np.int32)
    similar = pa.ListArray.from_arrays(pa.array(starts), ids.take(pa.array(nearest[is_similar])))
    return pa.table({"segment_id": ids.filter(pa.array(has_any)), "similar": similar})


def _joined(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables until they have thousands of rows: each insertion costs as much as many rows."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= _ROWS or len(waiting) >= _MAX_TABLES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def nearest_clips(embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the most similar unit vectors for each of [n, D], nearest first: indices [n, MAX_SIMILAR], -1 for none."""
    found = np.full((len(embeddings), MAX_SIMILAR), -1, dtype=np.int64)
    # In blocks: a speaker with 100,000 utterances would need a matrix of 40 GB.
    block = min(_BLOCK, max(1, _MAX_COSINES // max(1, len(embeddings))))
    for start in range(0, len(embeddings), block):
        cosines = embeddings[start : start + block] @ embeddings.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        # A few passes over the row are faster than its order; the first of equals wins in both.
        for place in range(min(MAX_SIMILAR, len(embeddings) - 1)):
            best = cosines.argmax(axis=1)
            found[start + rows, place] = np.where(cosines[rows, best] > MIN_COSINE, best, -1)
            cosines[rows, best] = -np.inf
    return found


def _by_speaker(reader: pa.RecordBatchReader) -> Iterator[tuple[pa.Array, NDArray[np.float32]]]:
    """Yield ids and embeddings [n, D] of one speaker and model at a time, from rows in that order."""
    last: str | None = None
    ids: list[pa.Array] = []
    blocks: list[NDArray[np.float32]] = []
    for batch in reader:
        speakers = batch["speaker"].to_numpy(zero_copy_only=False)
        edges = [0, *(np.flatnonzero(speakers[1:] != speakers[:-1]) + 1), len(speakers)]
        for start, end in pairwise(edges):
            if speakers[start] != last and ids:
                yield pa.concat_arrays(ids), np.concatenate(blocks)
                ids, blocks = [], []
            last = speakers[start]
            ids.append(batch["segment_id"].slice(start, end - start))
            blocks.append(_matrix(batch["embedding"].slice(start, end - start)))
    if ids:
        yield pa.concat_arrays(ids), np.concatenate(blocks)


def _matrix(vectors: pa.ListArray) -> NDArray[np.float32]:
    """Convert lists of equal length to rows of a matrix."""
    flat: NDArray[np.float32] = vectors.flatten().to_numpy().astype(np.float32)
    return flat.reshape(len(vectors), -1)
