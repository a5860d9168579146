"""Find the inputs of a stage that have no output with the fingerprint of its configuration.

One SQL anti-join on (id, fingerprint) finds them, for a corpus (rows and seconds by shard) and for one shard (the
input rows themselves). A second run therefore does what is missing and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from warehouse.fingerprints import CHAIN_SQL, short_hash
from warehouse.lake.arrow import to_table
from warehouse.rows import ConfigurationRow

InputView = Literal["recordings", "segments", "transcripts"]
"""The views `input_*` that stages read."""
_BELOW: dict[InputView, tuple[str, ...]] = {
    "recordings": ("configurations", "recordings"),
    "segments": ("configurations", "recordings", "segments"),
    "transcripts": ("configurations", "recordings", "segments", "transcripts"),
}
_FINGERPRINT = CHAIN_SQL.format(configuration="$configuration", fingerprint="i.fingerprint")


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The input rows of one shard that a stage has still to process."""

    shard: str
    rows: int
    audio_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """The shards of a corpus that a stage has still to process, the rows done, and whether its options are active."""

    stage: str
    corpus: str
    configuration: str
    shards: tuple[ShardPlan, ...]
    rows_done: int
    is_active: bool

    @property
    def rows(self) -> int:
        """Input rows without an output."""
        return sum(shard.rows for shard in self.shards)

    def shards_for(self, run: str) -> list[ShardPlan]:
        """Return the shards in an order that depends on the run, so that two runs seldom process the same one."""
        return sorted(self.shards, key=lambda plan: short_hash(f"{run}:{plan.shard}"))

    @property
    def audio_seconds(self) -> float:
        """Audio of those rows."""
        return sum(shard.audio_seconds for shard in self.shards)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTables:
    """The input view of a stage, its output table, and that table's column of input ids."""

    reads: InputView
    writes: str
    key: str

    @property
    def involved(self) -> tuple[str, ...]:
        """The tables that determine the missing rows of a shard: those below the input view, and the output."""
        return (*_BELOW[self.reads], self.writes)


def plan_stage(
    connection: duckdb.DuckDBPyConnection, stage: str, *, corpus: str, configuration: str, tables: StageTables
) -> StagePlan:
    """Plan `stage` with `configuration` on `corpus`: the missing rows, by shard in the order of their names."""
    # One 64-bit hash of id and fingerprint makes the join three times as fast. A row whose hash equals another's
    # (once in 10^12 rows at ten million) would be left out here; `missing_inputs` compares the strings.
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
    active = connection.execute(
        "SELECT configuration FROM active_configurations WHERE corpus = ? AND stage = ?", [corpus, stage]
    ).fetchall()
    return StagePlan(
        stage=stage,
        corpus=corpus,
        configuration=configuration,
        shards=tuple(ShardPlan(shard, count, seconds) for shard, count, seconds, _ in rows if count),
        rows_done=sum(done for _, _, _, done in rows),
        is_active=(configuration,) in active,
    )


def set_hypothetical_configurations(
    connection: duckdb.DuckDBPyConnection, configurations: Sequence[ConfigurationRow]
) -> None:
    """Let the views of `connection` show the rows that would be current with these configurations, without writing."""
    connection.register("hypothetical", to_table(ConfigurationRow, configurations))
    connection.execute("CREATE TABLE all_configurations AS SELECT * FROM configurations UNION ALL FROM hypothetical")
    connection.execute("CREATE OR REPLACE VIEW configurations AS SELECT * FROM all_configurations")


def missing_inputs(
    connection: duckdb.DuckDBPyConnection, *, corpus: str, shard: str, configuration: str, tables: StageTables
) -> list[dict[str, Any]]:
    """Return the input rows of one shard without an output, as dictionaries, in the order of their ids.

    Each has the columns of the input view, with `output_fingerprint` in the place of `fingerprint`.
    """
    answer = connection.execute(
        f"""
        SELECT i.* EXCLUDE (fingerprint), {_FINGERPRINT} AS output_fingerprint
        FROM input_{tables.reads} i
        ANTI JOIN (SELECT * FROM {tables.writes} WHERE corpus = $corpus AND shard = $shard) o
        ON o.{tables.key} = i.id AND o.fingerprint = {_FINGERPRINT}
        WHERE i.corpus = $corpus AND i.shard = $shard
        ORDER BY i.id
        """,
        {"corpus": corpus, "shard": shard, "configuration": configuration},
    )
    return answer.to_arrow_table().to_pylist()
