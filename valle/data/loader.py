"""Collate scheduled batches, to be prefetched while the model computes."""

from collections.abc import Iterator

from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.sampler import ScheduledBatch
from valle.model.batch import Batch


def collate_batches(scheduled: Iterator[ScheduledBatch], collator: Collator) -> Iterator[tuple[Batch, Cursor]]:
    """Collate scheduled batches; yields each with the cursor that resumes right after it."""
    for batch in scheduled:
        yield collator(batch), batch.after
