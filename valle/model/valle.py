"""The network of both decode modes: one trunk; tables, heads and masks chosen by the layout of the batch."""

import torch
from torch import Tensor, nn

from valle.model.batch import Batch
from valle.model.cache import Cache
from valle.model.config import ModelConfig
from valle.model.embeddings import CodeTables, Heads
from valle.model.layout import LAYOUTS, Codebooks, Layout, MaskKind, Mode, Segment
from valle.model.trunk import LlamaTrunk, Mask


class ValleModel(nn.Module):
    """VALL-E (Wang et al., arXiv 2301.02111) as one network: AR on codebook 0, NAR on the codebooks above it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, size, levels = config.width, config.codebook_size, config.num_codebooks
        self.symbols = nn.Embedding(config.num_symbols, width)
        self.languages = nn.Embedding(len(config.languages), width)
        self.levels = nn.Embedding(levels, width)
        self.separator = nn.Parameter(torch.randn(width) * 0.5)
        # Stop and mask are reserved ids of every target table, whether a mode uses them or not.
        self.codes = nn.ModuleDict(
            {
                "prompt_codes": CodeTables(levels, size, width),
                "target_codes": CodeTables(levels, size + 2, width),
            }
        )
        self.heads = Heads(levels, size + 1, width)
        self.trunk = LlamaTrunk(config)
        for table in (self.symbols, self.languages, self.levels):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, batch: Batch, cache: Cache | None = None) -> Tensor:
        """Logits of every predicted element, [M, N + 1] for AR rows (the last is stop) and [M, N] for NAR rows.

        An empty `cache` is filled on the way; only AR rows may have one.
        """
        layout = batch.layout
        assert cache is None or layout.mask is MaskKind.CAUSAL, "only causal rows can be cached"
        rows, longest = batch.positions.shape
        pieces = [self._embed(segment, batch) for segment in layout.segments]
        slots = [batch.slots[segment.name] for segment in layout.segments]
        pieces.append(self.separator.expand(len(batch.separators), -1).to(pieces[0].dtype))
        slots.append(batch.separators)
        grid = pieces[0].new_zeros(rows * longest, self.config.width)
        x = grid.index_copy(0, torch.cat(slots), torch.cat(pieces)).view(rows, longest, -1)
        mask = Mask(layout.mask, batch.row_lengths if batch.is_padded else None)
        hidden = self.trunk(x, mask, batch.positions, cache).flatten(0, 1)[batch.predictions]
        return self._logits(layout, hidden, batch.prediction_levels)

    def prefill(self, batch: Batch, cache: Cache) -> Tensor:
        """Fill `cache` with AR rows and return the logits of what follows each of them, [B, N + 1]."""
        return self(batch, cache)[batch.last_predictions]

    def step(self, codes: Tensor, frames: Tensor, cache: Cache) -> Tensor:
        """Feed one code of codebook 0 per row, [B], each frame number `frames` [B] of its target.

        Returns the logits of the frame after it, [B, N + 1].
        """
        layout = LAYOUTS[Mode.AR]
        target = layout.segment(layout.output)
        x = self.codes[target.table](codes[:, None], torch.ones_like(codes), target.first_table)[:, None]
        hidden = self.trunk(x, Mask(MaskKind.CAUSAL, None), frames[:, None], cache)[:, 0]
        return self._logits(layout, hidden, torch.zeros_like(codes))

    def _embed(self, segment: Segment, batch: Batch) -> Tensor:
        if segment.codebooks is None:
            ids = {"text": batch.symbol_ids, "language": batch.language_ids, "level": batch.levels}[segment.name]
            return getattr(self, segment.table)(ids)
        codes, levels = {
            "prompt": (batch.prompt, batch.prompt_levels),
            "target": (batch.target, batch.target_levels),
        }[segment.name]
        if segment.codebooks is Codebooks.FIRST:
            return self.codes[segment.table](codes[:, :1], torch.ones_like(levels), segment.first_table)
        return self.codes[segment.table](codes, levels, segment.first_table)

    def _logits(self, layout: Layout, hidden: Tensor, levels: Tensor) -> Tensor:
        """Logits of the head of each level; the stop output exists only where the layout has one."""
        size = self.config.codebook_size
        return self.heads(hidden, levels, size + 1 if layout.has_stop else size)
