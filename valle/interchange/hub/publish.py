"""Upload of runs and training sets, and download of runs."""

import tempfile
from pathlib import Path

from valle.checkpoints.runs import checkpoint_directory, newest_checkpoint
from valle.data.selection.training_set import load_training_set
from valle.data_root import DataRoot
from valle.interchange.cards import model_card
from valle.interchange.hub.folder import import_hf_folder, read_hf_folder, write_hf_folder
from valle.interchange.hub.lake_facts import scores_of, training_set_of
from valle.interchange.hub.transfer import pull_folder, push_folder
from valle.interchange.sets.export import export_training_set
from valle.training.export import published
from warehouse.errors import CheckpointError


def export_hf(root: DataRoot, checkpoint: Path, out: Path, *, name: str | None = None) -> int:
    """Write a checkpoint as a folder for transformers, in half precision, and return its size in bytes.

    Its card is filled from the data root. Raises CheckpointError as `export_checkpoint`.
    """
    card, weights = published(checkpoint, out, name=name)
    text = model_card(card, training_set_of(card, root), scores_of(card, root))
    write_hf_folder(card, weights, out, model_card=text)
    return sum(file.stat().st_size for file in out.iterdir())


def publish_run(root: DataRoot, run: str, target: str, *, private: bool) -> str:
    """Upload the newest checkpoint of a run and return its address. Raises HubError and CheckpointError."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "checkpoint"
        export_hf(root, newest_checkpoint(root.runs, run), out)
        return push_folder(out, target, "model", private=private)


def publish_training_set(root: DataRoot, name: str, target: str, *, private: bool) -> str:
    """Upload a training set and return its address. Raises HubError and TrainingError."""
    training_set = load_training_set(root.training_sets / name)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dataset"
        export_training_set(training_set, out, "hf-dataset")
        return push_folder(out, target, "dataset", private=private)


def fetch_run(root: DataRoot, source: str, name: str, *, revision: str | None = None) -> Path:
    """Download a checkpoint as the new run `name` and return its directory. Raises HubError and CheckpointError."""
    run_dir = root.runs / name
    if run_dir.exists():
        raise CheckpointError(f"{run_dir} exists; choose another --name, or delete that run.")
    with tempfile.TemporaryDirectory() as folder:
        downloaded = Path(folder) / "repository"
        pull_folder(source, downloaded, "model", revision=revision)
        card, _ = read_hf_folder(downloaded)
        checkpoint = checkpoint_directory(run_dir, card.step)
        import_hf_folder(downloaded, checkpoint)
    return checkpoint
