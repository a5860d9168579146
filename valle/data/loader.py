"""Collate scheduled batches, to be prefetched while the model computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from valle.data.cursor import Cursor
from valle.model.batch import Batch

if TYPE_CHECKING:
    from valle.data.collate import Collator
    from valle.data.sampler import ScheduledBatch


def collate_batches(scheduled: Iterator[ScheduledBatch], collator: Collator) -> Iterator[tuple[Batch, Cursor]]:
    """Collate scheduled batches; yields each with the cursor that resumes right after it."""
    for batch in scheduled:
        yield collator(batch), batch.after
