"""Forgetting dropped rows, so that the next run tries them again.

A failure is a row like any other; retrying it is deleting that row. The table's generation rises with every such
deletion, so that the same unit of work may be committed once more (see `Lake.commit`). Shards that a kill left
unfinished begin again, for they may hold drops, too. Older versions of the table,
and training sets pinned to them, keep what they had.
"""

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from warehouse.catalogue.views import connect
from warehouse.errors import ConfigurationError, LakeError
from warehouse.lake.parts import writer_properties
from warehouse.lake.tables import GENERATION, Lake
from warehouse.rows import (
    CodesRow,
    PhonemeRow,
    QualityRow,
    RecordingRow,
    SegmentRow,
    SourceRow,
    SpeakerRow,
    TranscriptRow,
)
from warehouse.upkeep.journal import forget_unfinished

TABLE_OF_STAGE = {
    "segment": SegmentRow.table,
    "transcribe": TranscriptRow.table,
    "phonemize": PhonemeRow.table,
    "quality": QualityRow.table,
    "speakers": SpeakerRow.table,
    "quantize": CodesRow.table,
}


def forget_drops(lake: Lake, stage: str, *, reason: str | None = None, corpus: str | None = None) -> int:
    """Delete the dropped rows of `stage` (or `ingest`) and return how many there were.

    For `ingest` the sources of the dropped recordings are forgotten as a whole, so that they are listed again.
    Raises ConfigurationError for an unknown stage.
    """
    forget_unfinished(lake)
    if stage == "ingest":
        return _forget_sources(lake, reason=reason, corpus=corpus)
    if stage not in TABLE_OF_STAGE:
        raise ConfigurationError(f"There is no stage {stage!r}; the stages are ingest, {', '.join(TABLE_OF_STAGE)}.")
    return _delete(lake, TABLE_OF_STAGE[stage], _condition(reason, corpus))


def _condition(reason: str | None, corpus: str | None) -> str:
    conditions = ["drop_reason IS NOT NULL"]
    for column, value in (("drop_reason", reason), ("corpus", corpus)):
        if value is not None:
            conditions.append(f"{column} = {_quoted(value)}")
    return " AND ".join(conditions)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _forget_sources(lake: Lake, *, reason: str | None, corpus: str | None) -> int:
    with connect(lake.snapshot()) as connection:
        dropped = connection.execute(
            f"SELECT source_id, count(*) FROM recordings WHERE {_condition(reason, corpus)} GROUP BY 1 ORDER BY 1"
        ).fetchall()
    if not dropped:
        return 0
    condition = f"source_id IN ({', '.join(_quoted(source) for source, _ in dropped)})"
    # Sources first: killed in between, the recordings stand and their sources are listed and read anew.
    _delete(lake, SourceRow.table, condition)
    _delete(lake, RecordingRow.table, condition)
    return sum(count for _, count in dropped)


def _delete(lake: Lake, table_name: str, condition: str) -> int:
    table: DeltaTable | None = lake.open_table(table_name)
    if table is None:
        return 0
    generation = (table.transaction_version(GENERATION) or 0) + 1
    properties = CommitProperties(app_transactions=[Transaction(GENERATION, generation)])
    try:
        done = table.delete(condition, writer_properties=writer_properties(table_name), commit_properties=properties)
    except DeltaError as error:
        raise LakeError(f"Could not forget rows of {table_name}: {error}; run the same command again.") from error
    return int(done["num_deleted_rows"])
