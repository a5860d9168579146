"""Define what a system under evaluation is, and name the control systems of every evaluation.

`checkpoint.py`, `command.py` and `folder.py` implement systems, `control_speech.py` the controls. The same code
measures all of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from warehouse.errors import ConfigurationError

# The name becomes a folder, and part of the name of a corpus.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

MAX_SECONDS = 180.0
"""Limit on one utterance of a system. Attention of a speaker encoder over three minutes needs 5 GB, over ten 60."""

GROUND_TRUTH = "ground_truth"
CODEC = "codec"
SHUFFLED_SPEAKER = "shuffled_speaker"
PROMPT_COPIED = "prompt_copied"
ESPEAK = "espeak"

CONTROLS: dict[str, str] = {
    GROUND_TRUTH: "the recordings themselves: lower bound of WER under this ASR, upper bound of SIM-o",
    CODEC: "the recordings encoded and decoded: the best quality that a model of these codes can reach",
    SHUFFLED_SPEAKER: "the recordings against the prompt of another speaker: SIM-o by chance",
    PROMPT_COPIED: "the prompt as the speech: WER near 100 %, SIM-o near 1",
    ESPEAK: "the texts by espeak-ng: intelligible and unnatural, by a speaker unrelated to the prompt",
}
"""The meaning of each control, in the order of tables. A score means little without them, so reports require them."""


class System(Protocol):
    """A source of synthetic speech. `identity` changes whenever its speech may change."""

    @property
    def name(self) -> str:
        """Name in score rows and reports."""

    @property
    def identity(self) -> str:
        """Everything that the speech depends on except the items."""

    @property
    def checkpoint_id(self) -> str | None:
        """The checkpoint of the lake that synthesizes, if any."""

    @property
    def max_seconds(self) -> float:
        """Limit on the duration of one utterance; longer speech is a failure."""

    def speak(self, items: Sequence[EvaluationItem], directory: Path, backends: Backends) -> None:
        """Write the speech of every item without a file below `directory`."""


def check_system_name(name: str) -> str:
    """Return `name`. Raise ConfigurationError when it cannot be the name of a folder."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"The name of a system has letters, digits, dots, dashes and underscores, unlike {name!r}; "
            "set another --name."
        )
    return name


def control_of(system: str) -> str | None:
    """Return the control that a system is a variant of (`codec_vocos` is one of `codec`); None for a model."""
    return next((name for name in CONTROLS if system == name or system.startswith(f"{name}_")), None)


def system_rank(system: str) -> tuple[int, str]:
    """Return a sort key that lists controls first, in their order, then models by name."""
    control = control_of(system)
    rank = len(CONTROLS) if control is None else list(CONTROLS).index(control)
    return (rank, system)
