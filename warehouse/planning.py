"""Planning: which inputs of a stage have no output with the fingerprint that its configuration asks for.

One SQL anti-join on (id, fingerprint) answers it, for a corpus (how much is left, by shard) and for one shard (the
input rows themselves). A re-run therefore does what is missing and nothing else.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.fingerprints import CHAIN_SQL

_MISSING = """
FROM input_{reads} i
WHERE i.corpus = $corpus AND NOT EXISTS (
    SELECT 1 FROM {writes} o WHERE o.corpus = $corpus AND o.{key} = i.id AND o.fingerprint = {fingerprint}
)
"""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What one shard still needs from a stage."""

    shard: str
    rows: int
    audio_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What a corpus still needs from a stage, how much is there already, and whether these options are in force."""

    stage: str
    corpus: str
    configuration: str
    shards: tuple[ShardPlan, ...]
    rows_done: int
    is_in_force: bool

    @property
    def rows(self) -> int:
        """Input rows without an output."""
        return sum(shard.rows for shard in self.shards)

    @property
    def audio_seconds(self) -> float:
        """Audio of those rows."""
        return sum(shard.audio_seconds for shard in self.shards)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTables:
    """Which input view a stage reads, which table it writes, and that table's column of input ids."""

    reads: str
    writes: str
    key: str


def _missing(tables: StageTables) -> str:
    fingerprint = CHAIN_SQL.format(configuration="$configuration", fingerprint="i.fingerprint")
    return _MISSING.format(reads=tables.reads, writes=tables.writes, key=tables.key, fingerprint=fingerprint)


def plan_stage(
    connection: duckdb.DuckDBPyConnection, stage: str, *, corpus: str, configuration: str, tables: StageTables
) -> StagePlan:
    """What `corpus` still needs from `stage` with `configuration`, by shard in the order of their names."""
    fingerprint = CHAIN_SQL.format(configuration="$configuration", fingerprint="i.fingerprint")
    rows = connection.execute(
        f"""
        WITH answered AS (
            SELECT i.shard, i.duration, EXISTS (
                SELECT 1 FROM {tables.writes} o
                WHERE o.corpus = $corpus AND o.{tables.key} = i.id AND o.fingerprint = {fingerprint}
            ) AS is_done
            FROM input_{tables.reads} i WHERE i.corpus = $corpus
        )
        SELECT shard, count(*) FILTER (NOT is_done), coalesce(sum(duration) FILTER (NOT is_done), 0),
               count(*) FILTER (is_done)
        FROM answered GROUP BY shard ORDER BY shard
        """,
        {"corpus": corpus, "configuration": configuration},
    ).fetchall()
    in_force = connection.execute(
        "SELECT configuration FROM configurations_in_force WHERE corpus = ? AND stage = ?", [corpus, stage]
    ).fetchone()
    return StagePlan(
        stage=stage,
        corpus=corpus,
        configuration=configuration,
        shards=tuple(ShardPlan(shard, count, seconds) for shard, count, seconds, _ in rows if count),
        rows_done=sum(done for _, _, _, done in rows),
        is_in_force=in_force == (configuration,),
    )


def missing_inputs(
    connection: duckdb.DuckDBPyConnection, *, corpus: str, shard: str, configuration: str, tables: StageTables
) -> list[dict[str, Any]]:
    """The input rows of one shard without an output, as dictionaries, in the order of their ids.

    Each has the columns of the input view; `fingerprint` is already the output's.
    """
    fingerprint = CHAIN_SQL.format(configuration="$configuration", fingerprint="i.fingerprint")
    answer = connection.execute(
        f"SELECT i.* REPLACE ({fingerprint} AS fingerprint) {_missing(tables)} AND i.shard = $shard ORDER BY i.id",
        {"corpus": corpus, "shard": shard, "configuration": configuration},
    )
    return answer.to_arrow_table().to_pylist()
