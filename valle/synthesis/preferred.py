"""How a checkpoint itself wants to speak."""

from pathlib import Path

from pydantic import ValidationError

from valle.checkpoints.runs import read_content, unreadable
from valle.synthesis.options import SamplingOptions


def read_sampling(checkpoint: Path) -> SamplingOptions:
    """How a checkpoint speaks where nothing else is asked for. Raises CheckpointError when its card makes no sense."""
    try:
        return SamplingOptions(**read_content(checkpoint).get("options", {}).get("sampling", {}))
    except (TypeError, AttributeError, ValidationError) as error:
        raise unreadable(checkpoint, error) from error
