"""Tags of generated files: that the speech is synthetic, and by which checkpoint, prompt and options it was made."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.synthesis.options import SamplingOptions


def speech_tags(checkpoint: str, prompt: Codes | None, sampling: SamplingOptions) -> dict[str, str]:
    """Return the tags `comment` and `artist` for speech of a checkpoint by its id, after a prompt [K, P] if any."""
    # Of the codes, which are what the model was given, not of the file, which may be any encoding of them.
    digest = "none" if prompt is None else hashlib.sha256(prompt.tobytes()).hexdigest()[:16]
    # Defaults are left out, so that a tag stays short enough for every player.
    options = json.dumps(sampling.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
    comment = f"Synthetic speech. checkpoint={checkpoint} prompt_codes_sha256={digest} sampling={options}"
    return {"comment": comment, "artist": f"valle {checkpoint}"}
