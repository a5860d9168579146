"""`valle import weights`: a file of weights becomes a run with one checkpoint, which speaks, trains and is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from valle.checkpoints.checkpoint import CheckpointCard
from valle.checkpoints.runs import checkpoint_directory
from valle.checkpoints.saving import new_checkpoint, write_model
from valle.data.cursor import Cursor
from valle.interchange.weights.description import Era, describe, has_sums
from valle.interchange.weights.era import EraChoice, RecordedSentence, choose_era, upper_loss
from valle.interchange.weights.tensors import ConvertedWeights, convert_tensors, merge_adapter
from valle.interchange.weights.weights_file import WeightsFile, read_adapter_file, read_weights_file
from valle.model.valle import ValleModel
from valle.phonemes.pieces import PieceTable, piece_table
from warehouse.errors import CheckpointError

if TYPE_CHECKING:
    from valle.codec.base import CodecSpec
    from valle.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A model from a file of weights, with its phoneme table; `era` names the sums it computes, with the reason."""

    file: WeightsFile
    config: ModelConfig
    converted: ConvertedWeights
    table: PieceTable
    era: EraChoice

    def build(self) -> ValleModel:
        """Return the network with its weights, in evaluation mode."""
        model = ValleModel(self.config)
        model.load_state_dict(self.converted.weights)
        return model.eval()


def open_weights(path: Path, *, config: Path | None = None, adapters: Sequence[Path] = ()) -> WeightsFile:
    """Read a file of weights and add adapters to them, in order. Raises CheckpointError."""
    file = read_weights_file(path, config)
    tensors: dict[str, Tensor] = dict(file.tensors)
    for adapter in adapters:
        tensors = merge_adapter(tensors, read_adapter_file(adapter))
    return replace(file, tensors=tensors)


def convert(file: WeightsFile, codec: CodecSpec, era: Era, sentence: RecordedSentence | None = None) -> ImportedModel:
    """Convert a file of weights. With AUTO a sentence chooses the era; without one it is that of published weights.

    Raises CheckpointError for weights that cannot be converted.
    """
    try:
        table = piece_table(file.strings)
    except ValueError as error:
        raise CheckpointError(f"The symbols of {file.path} are no phoneme table: {error}.") from error
    choice = _choose(file, codec, era, sentence)
    config = describe(file, codec, choice.era)
    if len(table) > config.num_symbols:
        raise CheckpointError(f"{file.path} has {len(table)} symbols for {config.num_symbols} embeddings.")
    return ImportedModel(file, config, convert_tensors(file, config), table, choice)


def _choose(file: WeightsFile, codec: CodecSpec, era: Era, sentence: RecordedSentence | None) -> EraChoice:
    if era is not Era.AUTO:
        return EraChoice(era, "as given")
    if not has_sums(file):
        return EraChoice(Era.SINCE_2025_03, "codebooks are not summed, so only transcripts depend on it")
    if sentence is None:
        return EraChoice(Era.UNTIL_2025_03, "as published weights; a recording by --sentence chooses by its loss")
    losses = {}
    for candidate in (Era.UNTIL_2025_03, Era.SINCE_2025_03):
        config = describe(file, codec, candidate)
        model = ValleModel(config)
        model.load_state_dict(convert_tensors(file, config).weights)
        losses[candidate] = upper_loss(model.eval(), sentence)
    return choose_era(losses)


def save_import(model: ImportedModel, codec: CodecSpec, run_dir: Path, name: str) -> Path:
    """Write an imported model as the checkpoint of a new run, and return its directory.

    Raises CheckpointError when the run exists or cannot be written.
    """
    if run_dir.exists():
        raise CheckpointError(f"{run_dir} exists; choose another --name, or delete that run.")
    checkpoint = checkpoint_directory(run_dir, model.file.step)
    with new_checkpoint(checkpoint) as temporary:
        write_model(temporary, _card(model, codec, name), model.converted.weights)
    return checkpoint


def _card(model: ImportedModel, codec: CodecSpec, name: str) -> CheckpointCard:
    symbols = (*model.table.symbols, *(f"<{number}>" for number in range(len(model.table), model.config.num_symbols)))
    return CheckpointCard(
        run_id=name,
        step=model.file.step,
        training_set=f"imported from {model.file.path.name}",
        model=model.config,
        codec=codec,
        phoneme_symbols=symbols,
        phoneme_strings=dict(model.table.strings),
        engine="imported",
        cursor=Cursor(),
        seconds=0.0,
        saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        options={"run_id": name, "sampling": default_sampling(model.file)},
        metrics={},
    )


def default_sampling(file: WeightsFile) -> dict[str, Any]:
    """Return the sampling that weights need: masked decoding with guidance when they have no AR."""
    capabilities = file.config.get("capabilities", ["ar", "nar"])
    if "ar" in capabilities:
        return {}
    return {"decoding": "nar-len", "guidance": 3.0, "temperature": 1.0}
