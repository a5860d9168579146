"""Planning: which inputs of a stage have no output with the fingerprint that its configuration asks for.

One SQL anti-join on (id, fingerprint) answers it, for a corpus (how much is left, by shard) and for one shard (the
input rows themselves). A re-run therefore does what is missing and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.fingerprints import CHAIN_SQL, short_hash
from warehouse.lake.arrow import to_table
from warehouse.rows import ConfigurationRow

_BELOW = {
    "recordings": ("configurations", "recordings"),
    "segments": ("configurations", "recordings", "segments"),
    "transcripts": ("configurations", "recordings", "segments", "transcripts"),
}
_FINGERPRINT = CHAIN_SQL.format(configuration="$configuration", fingerprint="i.fingerprint")


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

    def shards_for(self, run: str) -> list[ShardPlan]:
        """The shards in an order of this run's own, so that two runs on one corpus seldom do the same one at once."""
        return sorted(self.shards, key=lambda plan: short_hash(f"{run}:{plan.shard}"))

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

    @property
    def involved(self) -> tuple[str, ...]:
        """The tables that say what a shard still needs: the input view is made of them, and the output."""
        return (*_BELOW[self.reads], self.writes)


def plan_stage(
    connection: duckdb.DuckDBPyConnection, stage: str, *, corpus: str, configuration: str, tables: StageTables
) -> StagePlan:
    """What `corpus` still needs from `stage` with `configuration`, by shard in the order of their names."""
    # One 64-bit hash stands for id and fingerprint, which makes the join three times as fast. A row whose hash meets
    # another's (once in 10^12 rows at ten million) would be left out here; the shard itself compares the strings.
    rows = connection.execute(
        f"""
        SELECT shard, count(*) FILTER (NOT is_done), coalesce(sum(duration) FILTER (NOT is_done), 0),
               count(*) FILTER (is_done)
        FROM (
            SELECT i.shard, i.duration, hash(i.id, {_FINGERPRINT}) IN (
                SELECT hash({tables.key}, fingerprint) FROM {tables.writes} WHERE corpus = $corpus
            ) AS is_done
            FROM input_{tables.reads} i WHERE i.corpus = $corpus
        )
        GROUP BY shard ORDER BY shard
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


def suppose(connection: duckdb.DuckDBPyConnection, configurations: Sequence[ConfigurationRow]) -> None:
    """Let the views of `connection` show what would be in force with these configurations. The lake is not touched."""
    connection.register("supposed", to_table(ConfigurationRow, configurations))
    connection.execute("CREATE TABLE supposed_configurations AS SELECT * FROM configurations UNION ALL FROM supposed")
    connection.execute("CREATE OR REPLACE VIEW configurations AS SELECT * FROM supposed_configurations")


def missing_inputs(
    connection: duckdb.DuckDBPyConnection, *, corpus: str, shard: str, configuration: str, tables: StageTables
) -> list[dict[str, Any]]:
    """The input rows of one shard without an output, as dictionaries, in the order of their ids.

    Each has the columns of the input view; `fingerprint` is already the output's.
    """
    answer = connection.execute(
        f"""
        SELECT i.* REPLACE ({_FINGERPRINT} AS fingerprint)
        FROM input_{tables.reads} i
        ANTI JOIN (SELECT * FROM {tables.writes} WHERE corpus = $corpus AND shard = $shard) o
        ON o.{tables.key} = i.id AND o.fingerprint = {_FINGERPRINT}
        WHERE i.corpus = $corpus AND i.shard = $shard
        ORDER BY i.id
        """,
        {"corpus": corpus, "shard": shard, "configuration": configuration},
    )
    return answer.to_arrow_table().to_pylist()
