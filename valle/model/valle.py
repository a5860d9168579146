"""The network of all tasks and decode modes: one trunk; tables, heads and masks chosen by the layout of the batch."""

import torch
from torch import Tensor, nn

from valle.model.attention import Mask
from valle.model.batch import Batch
from valle.model.cache import Cache
from valle.model.config import NUM_BYTES, NUM_DIGITS, ModelConfig
from valle.model.embeddings import CodeTables, Heads, IdTables
from valle.model.layout import Layout, Marker, MaskKind, Segment, Table
from valle.model.trunk import LlamaTrunk


class ValleModel(nn.Module):
    """VALL-E (Wang et al., arXiv 2301.02111) as one network: codebook 0 by the AR or from masks, the others by the NAR.

    It can also say how long a text takes and what was said.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, size, levels = config.width, config.codebook_size, config.num_codebooks
        self.ids = IdTables(
            {
                Table.SYMBOLS: config.num_symbols,
                Table.BYTES: NUM_BYTES,
                Table.LANGUAGES: len(config.languages),
                Table.LEVELS: levels,
                Table.TASKS: len(Marker),
                Table.DIGITS: NUM_DIGITS + 2,
            },
            width,
        )
        self.separator = nn.Parameter(torch.randn(width) * 0.5)
        self.prompt_codes = CodeTables(levels, size, width)
        # Stop and mask are reserved ids of every table of the output, whether a mode uses them or not.
        self.target_codes = CodeTables(levels + config.group, size + 2, width)
        self.heads = Heads(config.head_sizes, width)
        self.trunk = LlamaTrunk(config)

    def forward(self, batch: Batch, cache: Cache | None = None) -> Tensor:
        """Logits of every predicted element, [M, outputs of the layout's head]; the last output of an AR row is stop.

        An empty `cache` is filled on the way; only causal rows may have one.
        """
        layout = batch.layout
        assert cache is None or layout.mask is MaskKind.CAUSAL, "only causal rows can be cached"
        rows, longest = batch.positions.shape
        pieces = [self._embed(segment, batch) for segment in layout.segments]
        slots = [batch.slots[segment.name] for segment in layout.segments]
        pieces.append(self.separator.expand(len(batch.separators), -1).to(pieces[0].dtype))
        slots.append(batch.separators)
        pieces += self._nothing(batch.separators)
        grid = pieces[0].new_zeros(rows * longest, self.config.width)
        x = grid.index_copy(0, torch.cat(slots), torch.cat(pieces)).view(rows, longest, -1)
        mask = Mask(layout.mask, batch.row_lengths if batch.is_padded else None)
        hidden = self.trunk(x, mask, batch.positions, cache).flatten(0, 1)[batch.predictions]
        return self.heads(layout.head, hidden, batch.heads)

    def prefill(self, batch: Batch, cache: Cache) -> Tensor:
        """Fill `cache` with causal rows and return the logits of what follows each of them, [B, group, outputs]."""
        logits = self(batch, cache)
        group = torch.arange(self.config.group_of(batch.layout), device=logits.device)
        return logits[batch.last_predictions[:, None] + group]

    def step(self, layout: Layout, elements: Tensor, places: Tensor, cache: Cache) -> Tensor:
        """Feed the next element of each row: ids [B], or one group of codes [B, group]; `places` [B] is its number.

        Returns the logits of the one after it, [B, group, outputs].
        """
        output = layout.output
        if output.codebooks is None:
            x = self.ids(output.table, elements)[:, None]
        else:
            counts = torch.full_like(places, elements.shape[1])
            x = self.target_codes(elements, counts, self.config.first_table(output.table))[:, None]
        positions = (places * self.config.pace.stride(output))[:, None]
        hidden = self.trunk(x, Mask(MaskKind.CAUSAL, None), positions, cache)
        group = self.config.group_of(layout)
        numbers = torch.tensor(self.config.frame_heads[:group], device=hidden.device).repeat(len(hidden))
        logits = self.heads(layout.head, hidden.expand(-1, group, -1).flatten(0, 1), numbers)
        return logits.unflatten(0, (-1, group))

    def _embed(self, segment: Segment, batch: Batch) -> Tensor:
        elements = batch.elements[segment.name]
        if segment.codebooks is None:
            return self.ids(segment.table, elements)
        tables = self.prompt_codes if segment.table is Table.PROMPT_CODES else self.target_codes
        return tables(elements, batch.counts[segment.name], self.config.first_table(segment.table))

    def _nothing(self, like: Tensor) -> list[Tensor]:
        """No vectors out of each code table: a task without codes must still give the tables a gradient, of zeros."""
        none = like.new_zeros(0, 1)
        return [tables(none, like.new_zeros(0)) for tables in (self.prompt_codes, self.target_codes)]
