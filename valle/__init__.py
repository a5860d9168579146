"""Speech data into a zero-shot text-to-speech model.

`valle.load` opens a checkpoint that speaks; docs/api.md is its page. It is imported on first use, so that a command or
a worker that does not speak never waits for torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valle.api import LoadedModel, SpokenText, load

__all__ = ["LoadedModel", "SpokenText", "load"]


def __getattr__(name: str) -> Any:
    """Import the Python API when one of its names is used."""
    if name in __all__:
        from valle import api

        return getattr(api, name)
    raise AttributeError(f"module 'valle' has no attribute {name!r}")
