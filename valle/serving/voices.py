"""A bank of voices: prompts with the consent of their speakers.

The recording of a voice is a folder below the data root, so that it can be deleted; each change is a row of the lake.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from valle.audio import write_audio
from valle.synthesis.prompts import read_prompt
from valle.synthesis.synthesizer import Prompt
from warehouse.errors import ConfigurationError
from warehouse.listener_rows import VoiceRow

if TYPE_CHECKING:
    from valle.codec.base import Codec, Codes
    from valle.data_root import DataRoot

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SHORTEST_CONSENT = 10
_CARD, _RECORDING, _CODES = "voice.json", "prompt.flac", "codes.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A prompt by name, with the statement by which its speaker agreed, and the SHA-256 of the uploaded recording."""

    name: str
    consent: str
    seconds: float
    sha256: str
    codec: str
    created: str


class VoiceBank:
    """The voices of a data root. A voice is complete when its folder exists."""

    def __init__(self, data_root: DataRoot, codec: Codec) -> None:
        self._data_root, self._folder, self._codec = data_root, data_root.root / "voices", codec
        self._lock = threading.Lock()

    def list(self) -> list[Voice]:
        """Return all voices by name; folders that are damaged are left out."""
        found = (self._read(path) for path in sorted(self._folder.glob(f"*/{_CARD}")))
        return [voice for voice in found if voice is not None]

    def add(self, name: str, recording: bytes, consent: str) -> Voice:
        """Store a recording as a voice. Raises ConfigurationError when it cannot be one, or the name is taken."""
        return self._add(name, recording, consent, None)

    def add_segment(self, name: str, segment_id: str, consent: str) -> Voice:
        """Store an utterance of the lake as a voice. Raises ConfigurationError as `add`, and without such a segment."""
        # DuckDB is loaded by the servers that read segments.
        from valle.listening import read_utterance

        audio = read_utterance(self._data_root, segment_id).audio
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "segment.flac"
            write_audio(path, audio)
            return self._add(name, path.read_bytes(), consent, segment_id)

    def _add(self, name: str, recording: bytes, consent: str, segment_id: str | None) -> Voice:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"The name {name[:64]!r} is no voice; use up to 64 of a-z, 0-9, - and _.")
        if len(consent.strip()) < _SHORTEST_CONSENT:
            raise ConfigurationError(
                "A voice needs a statement of consent; say who speaks and who agreed to its synthesis."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as made:
            folder = Path(made) / name
            folder.mkdir()
            voice = self._write(folder, name, recording, consent.strip())
            with self._lock:
                if (self._folder / name).exists():
                    raise ConfigurationError(f"There is a voice {name!r}; delete it first, or choose another name.")
                # Before the rename: no voice is there whose consent is not stored.
                self._record(voice, "added", segment_id)
                folder.rename(self._folder / name)
        return voice

    def _write(self, folder: Path, name: str, recording: bytes, consent: str) -> Voice:
        uploaded = folder / "uploaded"
        uploaded.write_bytes(recording)
        try:
            audio = read_prompt(uploaded, self._codec.spec.sample_rate)
        except ConfigurationError as error:
            # The path of the server is no concern of the client.
            raise ConfigurationError(str(error).replace(str(uploaded), "recording")) from error
        uploaded.unlink()
        write_audio(folder / _RECORDING, audio)
        np.save(folder / _CODES, self._codec.encode([audio.samples])[0])
        voice = Voice(
            name=name,
            consent=consent,
            seconds=round(audio.duration, 3),
            sha256=hashlib.sha256(recording).hexdigest(),
            codec=self._codec.spec.label,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (folder / _CARD).write_text(json.dumps(asdict(voice), ensure_ascii=False, indent=1), encoding="utf-8")
        return voice

    def delete(self, name: str) -> bool:
        """Remove a voice with its recording; return whether there was one."""
        if not _NAME.fullmatch(name) or not (self._folder / name).is_dir():
            return False
        voice = self._read(self._folder / name / _CARD)
        shutil.rmtree(self._folder / name)
        if voice is not None:
            self._record(voice, "deleted", None)
        return True

    def _record(self, voice: Voice, change: str, segment_id: str | None) -> None:
        row = VoiceRow(
            voice_row_id=uuid4().hex,
            name=voice.name,
            change=change,
            consent=voice.consent,
            sha256=voice.sha256,
            segment_id=segment_id,
            seconds=voice.seconds,
            changed_at=datetime.now(UTC),
        )
        self._data_root.lake.append(VoiceRow, [row], f"voice:{row.voice_row_id}")

    def find(self, name: str) -> tuple[Voice, Prompt] | None:
        """Return a voice with its encoded prompt, None if there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        folder = self._folder / name
        voice = self._read(folder / _CARD)
        return None if voice is None else (voice, Prompt(self._codes(folder, voice)))

    def _codes(self, folder: Path, voice: Voice) -> Codes:
        if voice.codec == self._codec.spec.label:
            codes: Codes = np.load(folder / _CODES)
            return codes
        # Another checkpoint may have another codec than the one with which the voice was added.
        audio = read_prompt(folder / _RECORDING, self._codec.spec.sample_rate)
        return self._codec.encode([audio.samples])[0]

    def _read(self, card: Path) -> Voice | None:
        try:
            return Voice(**json.loads(card.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
