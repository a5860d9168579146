"""Register the audio of evaluations in the lake, so that selection can refuse to train on it.

A list of items is registered when it is first used. The key is the audio, as the hash of its recording and the span
in it, so that the same recording is also found in another corpus (view `evaluated_segments`).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from manifests.audio.inspection import Inspection, inspect_bytes, inspect_file
from valle.audio import AudioLocation
from valle.evaluation.items.items import EvaluationItem
from warehouse.errors import CommitConflict
from warehouse.fingerprints import short_hash
from warehouse.lake.tables import Lake
from warehouse.model_rows import EvaluationItemRow


def register_items(items: Sequence[EvaluationItem], lake: Lake, *, items_hash: str, source: str) -> None:
    """Add the items and prompts of a list to the lake, once; a list that is already registered stays unchanged."""
    unit = f"evaluation_items:{items_hash}"
    if lake.is_committed(EvaluationItemRow.table, unit):
        return
    now = datetime.now(UTC)
    rows: dict[str, EvaluationItemRow] = {}
    for item in items:
        roles = (
            ("utterance", item.utterance, item.text, item.location),
            ("prompt", item.prompt, item.prompt_text, item.prompt_location),
        )
        for role, name, text, location in roles:
            # The separator occurs in no name, so that two keys cannot coincide.
            item_id = short_hash("\x1f".join((items_hash, role, name)))
            if not name or item_id in rows:
                continue  # An item without a prompt, another trial, or another item with the same prompt.
            span = _span(location)
            rows[item_id] = EvaluationItemRow(
                item_id=item_id,
                items_hash=items_hash,
                protocol=item.protocol,
                source=source,
                role=role,
                utterance=name,
                speaker=item.speaker,
                text=text,
                language=item.language,
                content_hash=span.content_hash if span else None,
                start=span.start if span else None,
                duration=span.duration if span else None,
                registered_at=now,
            )
    with suppress(CommitConflict):  # Another evaluation has registered the same list.
        lake.append(EvaluationItemRow, list(rows.values()), unit)


@dataclass(frozen=True, slots=True)
class _Span:
    """A span of a recording, in seconds."""

    content_hash: str
    start: float
    duration: float


def _span(location: AudioLocation | None) -> _Span | None:
    """Return the hash and span of the audio; None without a readable recording."""
    inspection = _inspect(location)
    if location is None or inspection is None or not inspection.sample_rate or inspection.num_samples is None:
        return None
    num_samples = location.num_samples or inspection.num_samples - location.start_sample
    rate = inspection.sample_rate
    return _Span(inspection.content_hash, location.start_sample / rate, num_samples / rate)


def _inspect(location: AudioLocation | None) -> Inspection | None:
    if location is None:
        return None
    if location.size == 0:
        return inspect_file(location.path)
    try:
        with Path(location.path).open("rb") as archive:
            archive.seek(location.offset)
            return inspect_bytes(archive.read(location.size))
    except OSError:
        return None
