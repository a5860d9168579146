"""Recordings that clients upload."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool

from valle.serving.errors import RefusedRequest
from valle.synthesis.prompts import read_speech
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import UploadFile

    from valle.audio import Audio
    from valle.serving.speech import Speaker


async def read_upload(upload: UploadFile, speaker: Speaker) -> Audio:
    """Decode an uploaded recording. Raises RefusedRequest for one that is unreadable, empty or too long."""
    content = await upload.read()
    return await run_in_threadpool(_decode, content, speaker.options.limits.speech_seconds)


def _decode(content: bytes, longest: float) -> Audio:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        path.write_bytes(content)
        try:
            return read_speech(path, longest=longest)
        except ConfigurationError as error:
            # The path of the server is no concern of the client.
            raise RefusedRequest(400, str(error).replace(str(path), "recording"), "invalid_value") from error
