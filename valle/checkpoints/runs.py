"""Directories of runs, and the summaries of their checkpoints.

Torch is not imported here, so that names and training sets of checkpoints are read at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.reading.regular import read_limited
from valle.codec.base import CodecSpec
from warehouse.errors import CheckpointError

FORMAT = 2
"""Version of cards and of the meaning of the weights; `migration.py` converts cards of format 1."""
CARD = "checkpoint.json"
FILE_CARD = "valle"
"""Name of the card in the metadata of a checkpoint that is one file."""
EMBEDDED = "english"
"""The run that is part of the package: English sentences. A run of the data root with that name hides it."""

# Bytes of a card; the largest tables of symbols take a hundredth of it.
_LARGEST_CARD = 64 << 20

EMBEDDED_RUNS = Path(__file__).with_name("embedded")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSummary:
    """Run, step, training set and codec of a checkpoint."""

    run_id: str
    step: int
    training_set: str
    codec: CodecSpec

    @property
    def checkpoint_id(self) -> str:
        """Return run id and step."""
        return f"{self.run_id}-{self.step}"


def find_run(runs: Path, name: str) -> Path:
    """Return the directory of a run by its name: below `runs`, or of the one that is part of the package."""
    found = runs / name
    return EMBEDDED_RUNS / name if name == EMBEDDED and not found.exists() else found


def newest_checkpoint(runs: Path, name: str) -> Path:
    """Return the newest checkpoint of a run by its name. Raises CheckpointError when there is none."""
    checkpoint = latest_checkpoint(find_run(runs, name))
    if checkpoint is None:
        raise CheckpointError(f"Run {name} has no checkpoint below {runs}; train it with `valle train`.")
    return checkpoint


def checkpoint_directory(run_dir: Path, step: int) -> Path:
    """Return the directory of the checkpoint of a step."""
    return run_dir / "checkpoints" / f"step-{step:08d}"


def list_checkpoints(run_dir: Path) -> list[Path]:
    """List the checkpoints of a run, oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-*"))


def latest_checkpoint(run_dir: Path) -> Path | None:
    """Return the newest checkpoint of a run, if there is one."""
    return next(reversed(list_checkpoints(run_dir)), None)


def read_content(checkpoint: Path) -> dict[str, Any]:
    """Read the fields of `checkpoint.json` as they are stored.

    Raises CheckpointError when there is none, when it is malformed, or when another version of this project wrote it.
    """
    path = checkpoint if checkpoint.is_file() else checkpoint / CARD
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint in {checkpoint}; give the directory that holds {CARD}.")
    try:
        text = read_file_card(path) if checkpoint.is_file() else read_limited(str(path), _LARGEST_CARD).decode()
        content: dict[str, Any] = json.loads(text)
        if "schema" in content:
            raise CheckpointError(f"{path} has format 1; convert it with `valle migrate {checkpoint}`.")
        if content.pop("format") != FORMAT:
            raise CheckpointError(f"{path} was written by another version of this project; train again.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(checkpoint, error) from error
    return content


def read_file_card(path: Path) -> str:
    """Return the card inside a checkpoint that is one safetensors or GGUF file. Raises CheckpointError for others."""
    from safetensors import SafetensorError, safe_open

    from valle.checkpoints.gguf.layout import SUFFIX

    if path.suffix == SUFFIX:
        from valle.checkpoints.gguf.reading import read_gguf_card

        return read_gguf_card(path)

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no safetensors file ({error}); export the checkpoint again.") from error
    if FILE_CARD not in metadata:
        raise CheckpointError(
            f"{path} has no card of this project; `valle import weights` reads the weights of e-c-k-e-r/vall-e."
        )
    return metadata[FILE_CARD]


def read_summary(checkpoint: Path) -> CheckpointSummary:
    """Read the summary of a checkpoint. Raises CheckpointError as `read_content`."""
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
    """Return the error for a malformed card, which mentions an older checkpoint of the run."""
    older = mention_older(checkpoint)
    # Pydantic names each field in lines of its own.
    reason = " ".join(str(error).split())
    return CheckpointError(f"{checkpoint / CARD} is damaged or no card of a checkpoint ({reason}){older}.")


def mention_older(checkpoint: Path) -> str:
    """Return a clause that names the newest older checkpoint of the same run; empty when there is none."""
    if checkpoint.parent.name != "checkpoints":
        return ""
    older = [path for path in list_checkpoints(checkpoint.parent.parent) if path.name < checkpoint.name]
    return f"; an older checkpoint of its run is {older[-1]}" if older else ""
