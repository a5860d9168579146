"""Reviews of segments by listeners: a verdict is a row of the lake, which selections honour."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from valle.data_root import DataRoot
from warehouse.catalogue.views import connect, run_query
from warehouse.errors import ConfigurationError
from warehouse.listener_rows import ReviewRow

Verdict = Literal["bad", "good"]


def review(data_root: DataRoot, segment_ids: Sequence[str], verdict: Verdict, note: str = "") -> list[ReviewRow]:
    """Commit a verdict on segments; the newest verdict of a segment counts.

    Raises ConfigurationError when one of them is no segment of the lake.
    """
    with connect(data_root.lake.snapshot()) as connection:
        known = run_query(
            connection, "SELECT segment_id FROM segments WHERE list_contains(?, segment_id)", [list(segment_ids)]
        )
    unknown = sorted(set(segment_ids) - set(known["segment_id"].to_pylist()))
    if unknown or not segment_ids:
        named = repr(unknown[0]) if unknown else "which none was given"
        raise ConfigurationError(f"There is no segment {named}; `valle sql` lists them in `utterances`.")
    # One time for all: the segments of one click have one verdict.
    now = datetime.now(UTC)
    rows = [
        ReviewRow(review_id=uuid4().hex, segment_id=segment, verdict=verdict, note=note, reviewed_at=now)
        for segment in dict.fromkeys(segment_ids)
    ]
    data_root.lake.append(ReviewRow, rows, f"review:{rows[0].review_id}")
    return rows
