"""Which other clips of a speaker sound most alike, for prompts that a model can follow.

A speaker does not sound the same in every clip, and a prompt that does teaches a model to follow prompts (Ecker's
VALL-E, valle_system.md 4.6 and 5.6). How alike two clips are is the cosine of their speaker embeddings.
"""

from collections.abc import Iterator
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST = 4
"""Clips that are kept for each."""
LEAST_COSINE = 0.5
"""Less alike than this is another voice, whatever the label says."""
_BLOCK = 1024


def similar_segments(connection: duckdb.DuckDBPyConnection, chosen: pa.Table) -> pa.Table:
    """The clips most like each: columns `segment_id` and `similar`, a list of ids, nearest first, of the same speaker.

    `chosen` has `segment_id` and `speaker`. Clips without an embedding, or with none that is alike, are left out; so
    is everything when the `speakers` stage has not run. One speaker is in memory at a time.
    """
    connection.register("wanted_voices", chosen.select(["segment_id", "speaker"]))
    reader = connection.execute(
        """
        SELECT w.speaker || ' by ' || v.model AS voice, w.segment_id, v.embedding
        FROM wanted_voices w JOIN current_speakers v USING (segment_id)
        WHERE v.embedding IS NOT NULL ORDER BY voice, w.segment_id
        """
    ).to_arrow_reader(65_536)
    segments, similar = [], []
    for ids, embeddings in _by_voice(reader):
        for segment, nearest in zip(ids, nearest_clips(embeddings), strict=True):
            if len(nearest):
                segments.append(segment)
                similar.append([ids[place] for place in nearest])
    connection.unregister("wanted_voices")
    types = [pa.string(), pa.list_(pa.string())]
    columns = [pa.array(values, kind) for values, kind in zip((segments, similar), types, strict=True)]
    return pa.table(columns, names=["segment_id", "similar"])


def nearest_clips(embeddings: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """For each of the unit vectors [n, D], the places of those most like it, nearest first: at most `MOST`."""
    found = []
    for start in range(0, len(embeddings), _BLOCK):
        cosines = embeddings[start : start + _BLOCK] @ embeddings.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :MOST]
        alike = np.take_along_axis(cosines, order, axis=1) > LEAST_COSINE
        found += [places[kept] for places, kept in zip(order, alike, strict=True)]
    return found


def _by_voice(reader: pa.RecordBatchReader) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Ids and embeddings [n, D] of one voice after the other, from rows in the order of voices."""
    last: str | None = None
    ids: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    for batch in reader:
        voices = batch["voice"].to_numpy(zero_copy_only=False)
        segments = batch["segment_id"].to_pylist()
        edges = [0, *(np.flatnonzero(voices[1:] != voices[:-1]) + 1), len(voices)]
        for start, end in pairwise(edges):
            if voices[start] != last and ids:
                yield ids, np.concatenate(blocks)
                ids, blocks = [], []
            last = voices[start]
            ids += segments[start:end]
            blocks.append(_matrix(batch["embedding"].slice(start, end - start)))
    if ids:
        yield ids, np.concatenate(blocks)


def _matrix(vectors: pa.ListArray) -> NDArray[np.float32]:
    """Lists of one length as rows."""
    flat: NDArray[np.float32] = vectors.flatten().to_numpy().astype(np.float32)
    return flat.reshape(len(vectors), -1)
