"""Process a batch so that one bad item cannot stop its neighbours, and turn outcomes into rows.

A stage may raise on an input that its author did not foresee. The items of the batch are then processed one by one,
and the item that raises is dropped as `failed` with the exception as its detail. Errors that are not about an input
(a full disk, a missing model, a lost device) are raised: dropping would turn a whole corpus into failures.
"""

import dataclasses
import errno
import logging
from collections.abc import Sequence
from typing import Any

from valle.backends.registry import Backends
from valle.stages.base import Drop, Outcome, Several, Stage, StageInput, WorkItem
from warehouse.errors import PipelineError, StageError
from warehouse.lake.arrow import column_hints
from warehouse.rows import Payload, StageRow

logger = logging.getLogger(__name__)
FAILED = "failed"
_MACHINE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENODEV}
)
# Names of torch's errors after which every later call of the process fails as well.
_DEVICE_ERRORS = frozenset({"AcceleratorError"})
# The message of a library may contain a traceback; its beginning names the cause.
_DETAIL_LENGTH = 500

Processed = tuple[StageInput, Outcome]
Dropped = tuple[StageInput, Drop]


def process_batch(stage: Stage, items: Sequence[WorkItem], models: Backends, shard: str) -> list[Processed]:
    """Return every item's input with its outcome, also when the stage raises on some of them.

    Raises StageError, or the PipelineError of the stage, for an error that is not about an input.
    """
    if not items:
        return []
    try:
        outcomes = stage.process(items, models)
    except Exception as error:  # noqa: BLE001 - a stage runs code of many libraries on input of any kind
        if len(items) == 1:
            return [(items[0].input, drop_as_failed(stage.name, shard, items[0].input.id, error))]
        raise_if_not_about_input(stage.name, shard, error)
        return [found for item in items for found in process_batch(stage, [item], models, shard)]
    assert len(outcomes) == len(items), f"{stage.name} returned {len(outcomes)} outcomes for {len(items)} items"
    return [(item.input, outcome) for item, outcome in zip(items, outcomes, strict=True)]


def drop_as_failed(stage: str, shard: str, source: str, error: Exception) -> Drop:
    """Return the drop of the input `source` on which `stage` raised `error`, and log its traceback.

    Raises the error, or a StageError, when it is not about the input.
    """
    raise_if_not_about_input(stage, shard, error)
    logger.warning("%s %s: %s is dropped as failed", stage, shard, source, exc_info=error)
    return Drop(FAILED, f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH])


def raise_if_not_about_input(stage: str, shard: str, error: Exception) -> None:
    """Raise the error, or a StageError, when it is about the machine, the models or the options."""
    if isinstance(error, PipelineError):
        raise error
    is_machine = isinstance(error, OSError) and error.errno in _MACHINE_ERRORS
    is_device = any(kind.__name__ in _DEVICE_ERRORS for kind in type(error).__mro__)
    if is_machine or is_device or isinstance(error, ImportError | MemoryError):
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise StageError(
            f"Stage {stage} failed on shard {shard} ({reason}); mend that, then run the same command again."
        ) from error


def stamp(stage: Stage, source: StageInput, outcome: Outcome) -> list[StageRow]:
    """Return the rows of an outcome with the columns that all rows share."""
    if isinstance(outcome, Several):
        return [row for piece in outcome.outcomes for row in stamp(stage, source, piece)]
    drop = outcome if isinstance(outcome, Drop) else None
    payload = outcome.payload if isinstance(outcome, Drop) else outcome
    row_class, tables = stage.writes, stage.tables
    columns: dict[str, Any] = dict.fromkeys(column_hints(row_class))
    if payload is not None:
        columns |= _columns_of(payload)
    # A recording without any segment has a row of `segments` too, under its own id.
    columns[row_class.key] = columns[row_class.key] or source.id
    columns[tables.key] = source.id
    return [
        row_class(
            **columns
            | {
                "corpus": source.corpus,
                "shard": source.shard,
                "fingerprint": source.output_fingerprint,
                "drop_reason": drop.reason if drop else None,
                "drop_detail": drop.detail if drop else None,
            }
        )
    ]


def _columns_of(payload: Payload) -> dict[str, Any]:
    return {field.name: getattr(payload, field.name) for field in dataclasses.fields(payload)}
