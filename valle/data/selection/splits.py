"""Splits without leakage: no speaker and no source recording (book, video, session) is in two of them.

Speakers and recordings that share utterances form one group (a connected component); groups are assigned to dev and
test in a seeded order until each has its fraction, and all others are train.
"""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

SPLITS = ("train", "dev", "test")
_TRAIN, _DEV, _TEST = range(len(SPLITS))


class SplitPolicy(BaseModel):
    """Division of a selection; splits are always disjoint by speaker and by source recording."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    dev: float = Field(default=0.05, ge=0, lt=0.5)
    """Fraction of the audio for dev."""
    test: float = Field(default=0.05, ge=0, lt=0.5)
    """Fraction of the audio for test, in addition to `test_where`."""
    test_where: str = "false"
    """SQL condition on utterances; a speaker or recording with any such utterance is test as a whole."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of the assignment of speakers to dev and test."""


def assign_splits(connection: duckdb.DuckDBPyConnection, policy: SplitPolicy) -> None:
    """Make the table `speaker_splits`, the split of each speaker, from `chosen`.

    `chosen` has `segment_id`, `speaker`, `source`, `duration` and `in_test`. A group that would fill a split beyond
    twice its fraction stays in train, so a corpus of one speaker is all train.
    """
    connection.execute(
        'CREATE TABLE speaker_numbers AS SELECT speaker, row_number() OVER (ORDER BY speaker) - 1 AS "number" '
        "FROM (SELECT DISTINCT speaker FROM chosen)"
    )
    groups = _connected_groups(connection)
    seconds = _seconds(connection, groups)
    split = np.full(len(seconds), _TRAIN, dtype=np.int8)
    named = "SELECT DISTINCT n.number FROM chosen JOIN speaker_numbers n USING (speaker) WHERE in_test"
    split[groups[_numbers(connection, named)]] = _TEST
    order = _order(connection, groups, policy.seed)
    for chosen_split, fraction in ((_DEV, policy.dev), (_TEST, policy.test)):
        target, assigned = fraction * seconds.sum(), 0.0
        for group in order:
            if assigned >= target:
                break
            if split[group] == _TRAIN and assigned + seconds[group] <= max(2 * target, target + 1):
                split[group] = chosen_split
                assigned += float(seconds[group])
    names = pa.DictionaryArray.from_arrays(pa.array(split[groups]), pa.array(SPLITS)).cast(pa.string())
    numbered = pa.table({"number": pa.array(np.arange(len(groups))), "split": names})
    connection.register("numbered_splits", numbered)
    connection.execute(
        "CREATE TABLE speaker_splits AS SELECT speaker, split FROM numbered_splits JOIN speaker_numbers USING (number)"
    )
    connection.unregister("numbered_splits")


def _numbers(connection: duckdb.DuckDBPyConnection, sql: str) -> NDArray[np.int64]:
    """Return the one column of integers of a query."""
    [column] = connection.execute(sql).fetchnumpy().values()
    return np.asarray(column, dtype=np.int64)


def _connected_groups(connection: duckdb.DuckDBPyConnection) -> NDArray[np.int64]:
    """Return the group of each speaker: speakers that share a source, also indirectly, share a group.

    Groups are numbered in the order of their first speakers.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = connection.execute(
        "SELECT DISTINCT n.number AS speaker, s.number AS source FROM chosen JOIN speaker_numbers n USING (speaker) "
        'JOIN (SELECT source, row_number() OVER () - 1 AS "number" FROM (SELECT DISTINCT source FROM chosen)) s '
        "USING (source)"
    ).fetchnumpy()
    speaker, source = (np.asarray(pairs[name], dtype=np.int64) for name in ("speaker", "source"))
    speakers = int(speaker.max()) + 1
    nodes = speakers + int(source.max()) + 1
    edges = coo_array((np.ones(len(speaker), np.int8), (speaker, speakers + source)), shape=(nodes, nodes))
    _, labels = connected_components(edges, directed=False)
    _, first, groups = np.unique(labels[:speakers], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[groups], dtype=np.int64)


def _seconds(connection: duckdb.DuckDBPyConnection, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the seconds of audio of each group, added in the order of the segments: equal on every machine."""
    rows = connection.execute(
        "SELECT n.number, duration FROM chosen JOIN speaker_numbers n USING (speaker) ORDER BY segment_id"
    ).fetchnumpy()
    seconds = np.bincount(groups[np.asarray(rows["number"])], weights=np.asarray(rows["duration"]))
    return seconds.astype(np.float64, copy=False)


def _order(connection: duckdb.DuckDBPyConnection, groups: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the groups in the order in which they are assigned.

    It depends on the seed and on the name of the first speaker only, so adding a corpus moves few speakers.
    """
    speakers = _numbers(connection, f"SELECT number FROM speaker_numbers ORDER BY md5('{seed}:' || speaker)")
    is_first = np.zeros(len(groups), dtype=bool)
    is_first[np.unique(groups, return_index=True)[1]] = True
    found: NDArray[np.int64] = groups[speakers[is_first[speakers]]]
    return found
