"""Delete dropped rows, so that the next run tries them again.

A drop is a row like any other; deleting it makes its input missing again. The table's generation rises with every
such deletion, so that the same unit of work may be committed once more (see `Lake.commit`). Shards that a kill left
unfinished begin again, because they may have drops too. Older versions of the table, and training sets pinned to
them, do not change.
"""

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError

from warehouse.catalogue.literals import text_literal
from warehouse.catalogue.views import connect
from warehouse.errors import LakeError, unknown_name
from warehouse.lake.arrow import TableRow
from warehouse.lake.data_files import writer_properties
from warehouse.lake.tables import GENERATION, Lake, one_line
from warehouse.rows import (
    AlignmentRow,
    CodesRow,
    MixtureRow,
    PhonemeRow,
    QualityRow,
    RecordingRow,
    SegmentRow,
    SourceRow,
    SpeakerRow,
    TranscriptRow,
)
from warehouse.upkeep.checksums import record_checksums
from warehouse.upkeep.journal import forget_unfinished

_ROW_OF_STAGE: dict[str, type[TableRow]] = {
    "segment": SegmentRow,
    "transcribe": TranscriptRow,
    "align": AlignmentRow,
    "phonemize": PhonemeRow,
    "quality": QualityRow,
    "speakers": SpeakerRow,
    "quantize": CodesRow,
    "mix": MixtureRow,
}


def forget_drops(lake: Lake, stage: str, *, reason: str | None = None, corpus: str | None = None) -> int:
    """Delete the dropped rows of `stage` (or `ingest`) and return how many there were.

    For `ingest` the sources of the dropped recordings are forgotten as a whole, so that they are listed again.
    Raises ConfigurationError for an unknown stage.
    """
    forget_unfinished(lake)
    if stage == "ingest":
        return _forget_sources(lake, reason=reason, corpus=corpus)
    if stage not in _ROW_OF_STAGE:
        raise unknown_name("stage", stage, ("ingest", *_ROW_OF_STAGE))
    return _delete(lake, _ROW_OF_STAGE[stage], _condition(reason, corpus))


def _condition(reason: str | None, corpus: str | None) -> str:
    conditions = ["drop_reason IS NOT NULL"]
    for column, value in (("drop_reason", reason), ("corpus", corpus)):
        if value is not None:
            conditions.append(f"{column} = {text_literal(value)}")
    return " AND ".join(conditions)


def _forget_sources(lake: Lake, *, reason: str | None, corpus: str | None) -> int:
    with connect(lake.snapshot()) as connection:
        dropped = connection.execute(
            f"SELECT source_id, count(*) FROM recordings WHERE {_condition(reason, corpus)} GROUP BY 1 ORDER BY 1"
        ).fetchall()
    if not dropped:
        return 0
    condition = f"source_id IN ({', '.join(text_literal(source) for source, _ in dropped)})"
    # Sources first: after a kill in between, the recordings remain and their sources are listed and read again.
    _delete(lake, SourceRow, condition)
    _delete(lake, RecordingRow, condition)
    return sum(count for _, count in dropped)


def _delete(lake: Lake, row_class: type[TableRow], condition: str) -> int:
    table: DeltaTable | None = lake.open_table(row_class.table)
    if table is None:
        return 0
    generation = (table.transaction_version(GENERATION) or 0) + 1
    properties = CommitProperties(app_transactions=[Transaction(GENERATION, generation)])
    try:
        done = table.delete(condition, writer_properties=writer_properties(row_class), commit_properties=properties)
    except DeltaError as error:
        raise LakeError(
            f"Could not delete rows of {row_class.table} ({one_line(error)}); run the same command again."
        ) from error
    record_checksums(lake, row_class.table)
    return int(done["num_deleted_rows"])
