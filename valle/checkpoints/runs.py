"""What lies below the directory of a run, and what its checkpoints say of themselves.

Torch is not imported here: what a checkpoint is called and was trained on is known at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.codec.base import CodecSpec
from warehouse.errors import CheckpointError

FORMAT = 2
"""Version of cards and of the meaning of the weights; `migration.py` converts cards of format 1."""
CARD = "checkpoint.json"
EMBEDDED = "words"
"""The run that comes with the package: digits and a hundred words. A run of yours of that name hides it."""

_EMBEDDED_RUNS = Path(__file__).with_name("embedded")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSummary:
    """Which checkpoint it is, what it was trained on, and the codec of its codes."""

    run_id: str
    step: int
    training_set: str
    codec: CodecSpec

    @property
    def checkpoint_id(self) -> str:
        """Run id and step."""
        return f"{self.run_id}-{self.step}"


def find_run(runs: Path, name: str) -> Path:
    """The directory of a run by its name: below `runs`, or of the one that comes with the package."""
    found = runs / name
    return _EMBEDDED_RUNS / name if name == EMBEDDED and not found.exists() else found


def newest_checkpoint(runs: Path, name: str) -> Path:
    """The newest complete checkpoint of a run by its name. Raises CheckpointError when there is none."""
    checkpoint = latest_checkpoint(find_run(runs, name))
    if checkpoint is None:
        raise CheckpointError(f"Run {name} has no checkpoint below {runs}; train it with `valle train`.")
    return checkpoint


def checkpoint_directory(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run_dir / "checkpoints" / f"step-{step:08d}"


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-*"))


def latest_checkpoint(run_dir: Path) -> Path | None:
    """The newest complete checkpoint of a run, if there is one."""
    return next(reversed(list_checkpoints(run_dir)), None)


def read_content(checkpoint: Path) -> dict[str, Any]:
    """The fields of `checkpoint.json` as they are stored.

    Raises CheckpointError when there is none, or when another version of this project wrote it.
    """
    path = checkpoint / CARD
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint in {checkpoint}; give the directory that holds {CARD}.")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "schema" in content:
            raise CheckpointError(
                f"{path} has format 1; convert it with `python -m valle.checkpoints.migration {checkpoint}`."
            )
        if content.pop("format") != FORMAT:
            raise CheckpointError(f"{path} was written by another version of this project; train again.")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(checkpoint, error) from error
    return content


def read_summary(checkpoint: Path) -> CheckpointSummary:
    """The summary of a checkpoint; errors as `read_content`, and for one that cannot be understood."""
    content = read_content(checkpoint)
    try:
        return CheckpointSummary(
            run_id=content["run_id"],
            step=content["step"],
            training_set=content["training_set"],
            codec=CodecSpec(**content["codec"]),
        )
    except (KeyError, TypeError) as error:
        raise unreadable(checkpoint, error) from error


def unreadable(checkpoint: Path, error: Exception) -> CheckpointError:
    """The error for a card that makes no sense."""
    return CheckpointError(f"{checkpoint / CARD} cannot be read ({error}); it is no card of a checkpoint.")
