"""The NAR of a checkpoint as one graph: a row of one utterance in, logits of one codebook out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.attention import AttentionKernel, Mask
from valle.model.conventions import OURS
from valle.model.layout import Head, MaskKind, Table
from valle.model.valle import ValleModel
from warehouse.errors import ConfigurationError

INPUTS = ("symbols", "language", "codebook", "prompt", "target")
"""Ids [N]; ids [1]; the codebook that is predicted, [1]; codes [K, P]; codes [K - 1, T], of which those below count."""


@dataclass(frozen=True, slots=True)
class _Field:
    """Vectors [n, width] of a field, and the frames from one to the next."""

    vectors: Tensor
    stride: float = 1.0


class NarGraph(nn.Module):
    """The layout `tts/nar` without padding, in operations that ONNX has.

    A test compares it with the layout of `make_batch`. Text and prompt are never empty.
    """

    def __init__(self, model: ValleModel) -> None:
        super().__init__()
        config = model.config
        if config.trunk != "llama" or config.conventions != OURS or config.whole_frames:
            raise ConfigurationError(
                "Only the NAR of this project's own checkpoints with the trunk llama is exported to ONNX; a model of "
                "whole frames has none."
            )
        count, size = config.num_codebooks, config.codebook_size
        self.stride = config.text_stride
        self.trunk = model.trunk
        # Other kernels have no counterpart in ONNX.
        self.trunk.kernel = AttentionKernel.MATMUL
        weights, first = model.ids.weight.detach(), model.ids.first
        self.symbols = nn.Parameter(weights[first[Table.SYMBOLS] :][: config.num_symbols])
        self.languages = nn.Parameter(weights[first[Table.LANGUAGES] :][: len(config.languages)])
        self.codebooks = nn.Parameter(weights[first[Table.CODEBOOKS] :][:count])
        self.separator = model.separator
        self.prompts = nn.Parameter(model.prompt_codes.weight.detach())
        tables = model.target_codes.weight.detach().view(-1, size + 2, config.width)
        first_lower = config.first_table(Table.LOWER_CODES)
        self.targets = nn.Parameter(tables[first_lower : first_lower + count - 1].reshape(-1, config.width))
        spans = [model.heads.spans[Head.CODES, number] for number in range(1, count)]
        self.heads = nn.Parameter(torch.stack([model.heads.weight.detach()[slice(*span)] for span in spans]))
        self.biases = nn.Parameter(torch.stack([model.heads.bias.detach()[slice(*span)] for span in spans]))
        self.size = size

    def forward(self, symbols: Tensor, language: Tensor, codebook: Tensor, prompt: Tensor, target: Tensor) -> Tensor:
        """Return the logits [T, entries] of the frames of the target; see `INPUTS`."""
        below = (torch.arange(target.shape[0]) < codebook)[:, None, None]
        lower = (_look_up(self.targets, target, self.size + 2) * below).sum(0)
        fields = [
            _Field(functional.embedding(symbols, self.symbols), self.stride),
            _Field(functional.embedding(language, self.languages)),
            _Field(functional.embedding(codebook, self.codebooks)),
            _Field(_look_up(self.prompts, prompt, self.size).sum(0)),
        ]
        vectors, positions = [], []
        for field in fields:
            vectors += [field.vectors, self.separator[None]]
            positions.append(torch.arange(field.vectors.shape[0] + 1) * field.stride)
        x = torch.cat([*vectors, lower])[None]
        places = torch.cat([*positions, torch.arange(target.shape[1]).float()])[None]
        hidden = self.trunk(x, Mask(MaskKind.FULL, None), places, None, codebook)[0]
        chosen = hidden[hidden.shape[0] - target.shape[1] :]
        head = self.heads.index_select(0, codebook - 1)[0]
        return chosen @ head.T + self.biases.index_select(0, codebook - 1)


def _look_up(tables: Tensor, codes: Tensor, entries: int) -> Tensor:
    """Embed codes [K, n] by a table each: [K, n, width]."""
    return functional.embedding(codes + torch.arange(codes.shape[0])[:, None] * entries, tables)
