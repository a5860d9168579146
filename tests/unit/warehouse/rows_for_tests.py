"""Small rows for the tests of the warehouse."""

import random
from dataclasses import fields
from datetime import UTC, datetime

from warehouse.fingerprints import chain, short_hash
from warehouse.rows import CodesRow, ConfigurationRow, RecordingRow, SegmentRow, TranscriptRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def recording(name: str, **changes: object) -> RecordingRow:
    values = {
        "recording_id": name, "source_id": name, "corpus": "c", "subset": "p", "shard": "c-1",
        "fingerprint": short_hash(name), "path": f"{name}.wav", "member": None, "offset": 0, "size": 10,
        "content_hash": name, "sample_rate": 16000, "num_channels": 1, "num_samples": 160000, "duration": 10.0,
        "origin": "recorded", "speaker": "c:s", "language": "en", "licence": "CC0-1.0", "text": None, "book": None,
        "genre": None, "snr": None, "dnsmos": None, "spans": None, "extra": "{}", "ingested_at": NOW,
        "channel": None, "declared_samples": None, "span_texts": None, "drop_reason": None, "drop_detail": None,
    }  # fmt: skip
    return RecordingRow(**(values | changes))


def segment(of: RecordingRow, number: int, configuration: str, **changes: object) -> SegmentRow:
    values = {
        "segment_id": f"{of.recording_id}-{number}", "recording_id": of.recording_id, "corpus": of.corpus,
        "shard": of.shard, "fingerprint": chain(configuration, of.fingerprint), "start": float(number),
        "duration": 1.0, "start_sample": number * 16000, "num_samples": 16000, "cut": "pause",
        "given_text": None, "drop_reason": None, "drop_detail": None,
    }  # fmt: skip
    return SegmentRow(**(values | changes))


def transcript(name: str, fingerprint: str) -> TranscriptRow:
    """The transcript of a segment."""
    nothing = {field.name: None for field in fields(TranscriptRow)}
    known = {"segment_id": name, "corpus": "c", "shard": "c-1", "fingerprint": fingerprint, "model": "m", "text": "yes"}
    return TranscriptRow(**(nothing | known))


def codes(name: str, fingerprint: str = "f", frames: int = 20, num_codebooks: int = 8, **changes: object) -> CodesRow:
    draw = random.Random(name)
    values = {
        "segment_id": name, "corpus": "c", "shard": "c-1", "fingerprint": fingerprint, "codec": "mini@0",
        "num_frames": frames, "num_codebooks": num_codebooks,
        "codes": [[draw.randrange(1024) for _ in range(frames)] for _ in range(num_codebooks)],
        "drop_reason": None, "drop_detail": None,
    }  # fmt: skip
    return CodesRow(**(values | changes))


def configuration(stage: str, value: str, *, at: datetime = NOW) -> ConfigurationRow:
    return ConfigurationRow(
        configuration_id=f"{stage}-{value}-{at}", corpus="c", stage=stage, configuration=value, options="{}",
        activated_at=at,
    )  # fmt: skip
