"""Open a checkpoint with its trunk in llama.cpp."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from valle.checkpoints.checkpoint import CheckpointCard, read_card, read_weights
from valle.checkpoints.gguf.layout import BLOCK_TYPES, SUFFIX, WeightType, is_trunk
from valle.checkpoints.gguf.reading import weight_type_of
from valle.checkpoints.gguf.writing import write_gguf
from valle.llama_cpp.trunk import LlamaCppTrunk
from valle.model.valle import ValleModel


def load_llama_cpp(checkpoint: Path, weight_type: WeightType = "f32") -> tuple[ValleModel, CheckpointCard]:
    """Load a GGUF file, or any other checkpoint through a temporary one with this type of weights.

    A file in f16 becomes one in f32 where that is asked for: with f16 llama.cpp rounds vectors, too, and logits differ
    by 0.01. Files of blocks stay as they are. Returns the model in evaluation mode on the CPU, and its card. Raises
    ConfigurationError when llama.cpp is not installed or has no counterpart of the model, CheckpointError for files
    that cannot be read.
    """
    card, weights = read_card(checkpoint), read_weights(checkpoint)
    with torch.device("meta"):  # nothing of it is kept but names and shapes
        model = ValleModel(card.model)
    with TemporaryDirectory() as folder:
        path = checkpoint
        stored = weight_type_of(checkpoint) if checkpoint.suffix == SUFFIX else None
        if stored not in (weight_type, *BLOCK_TYPES):
            path = Path(folder) / f"trunk{SUFFIX}"
            write_gguf(path, card, weights, weight_type)
        model.trunk = LlamaCppTrunk(path, card.model)
    rest = {name: tensor.float() for name, tensor in weights.items() if not is_trunk(name)}
    model.load_state_dict(rest, assign=True)
    return model.eval(), card
