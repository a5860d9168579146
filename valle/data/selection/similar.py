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


def similar_segments(connection: duckdb.DuckDBPyConnection, chosen: pa.Table) -> pa.Table:
    """Find the most similar utterances of the same speaker: columns `segment_id` and `similar`, ids, nearest first.

    `chosen` has `segment_id` and `speaker`. Utterances without an embedding or without a similar one are left out, so
    the table is empty when the `speakers` stage has not run. One speaker is in memory at a time.
    """
    connection.register("chosen_speakers", chosen.select(["segment_id", "speaker"]))
    reader = connection.execute(
        """
        SELECT w.speaker || ' by ' || v.model AS speaker, w.segment_id, v.embedding
        FROM chosen_speakers w JOIN current_speakers v USING (segment_id)
        WHERE v.embedding IS NOT NULL ORDER BY 1, w.segment_id
        """
    ).to_arrow_reader(65_536)
    segments, similar = [], []
    for ids, embeddings in _by_speaker(reader):
        for segment, nearest in zip(ids, nearest_clips(embeddings), strict=True):
            if len(nearest):
                segments.append(segment)
                similar.append([ids[index] for index in nearest])
    connection.unregister("chosen_speakers")
    types = [pa.string(), pa.list_(pa.string())]
    columns = [pa.array(values, kind) for values, kind in zip((segments, similar), types, strict=True)]
    return pa.table(columns, names=["segment_id", "similar"])


def nearest_clips(embeddings: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Find the indices of the most similar unit vectors for each of [n, D], nearest first: at most `MAX_SIMILAR`."""
    found = []
    # In blocks: a speaker with 100,000 utterances would need a matrix of 40 GB.
    for start in range(0, len(embeddings), _BLOCK):
        cosines = embeddings[start : start + _BLOCK] @ embeddings.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :MAX_SIMILAR]
        is_similar = np.take_along_axis(cosines, order, axis=1) > MIN_COSINE
        found += [indices[kept] for indices, kept in zip(order, is_similar, strict=True)]
    return found


def _by_speaker(reader: pa.RecordBatchReader) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield ids and embeddings [n, D] of one speaker and model at a time, from rows in that order."""
    last: str | None = None
    ids: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    for batch in reader:
        speakers = batch["speaker"].to_numpy(zero_copy_only=False)
        segments = batch["segment_id"].to_pylist()
        edges = [0, *(np.flatnonzero(speakers[1:] != speakers[:-1]) + 1), len(speakers)]
        for start, end in pairwise(edges):
            if speakers[start] != last and ids:
                yield ids, np.concatenate(blocks)
                ids, blocks = [], []
            last = speakers[start]
            ids += segments[start:end]
            blocks.append(_matrix(batch["embedding"].slice(start, end - start)))
    if ids:
        yield ids, np.concatenate(blocks)


def _matrix(vectors: pa.ListArray) -> NDArray[np.float32]:
    """Convert lists of equal length to rows of a matrix."""
    flat: NDArray[np.float32] = vectors.flatten().to_numpy().astype(np.float32)
    return flat.reshape(len(vectors), -1)
