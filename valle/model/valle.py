"""The network of all tasks and modes: one trunk, with tables, heads and masks selected by the layout of a batch."""

import torch
from torch import Tensor, nn

from valle.model.attention import Mask
from valle.model.batch import Batch
from valle.model.cache import Cache
from valle.model.config import NUM_BYTES, NUM_DIGITS, ModelConfig
from valle.model.embeddings import CodeTables, Heads, IdTables
from valle.model.layout import Layout, LayoutField, Marker, MaskKind, Table
from valle.model.trunk import LlamaTrunk


class ValleModel(nn.Module):
    """VALL-E (Wang et al., arXiv 2301.02111) as one network: AR or NAR-len for codebook 0, NAR for the others.

    The same trunk predicts lengths and transcribes; see `valle/tasks`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, size, num_codebooks = config.width, config.codebook_size, config.num_codebooks
        self.ids = IdTables(
            {
                Table.SYMBOLS: config.num_symbols,
                Table.BYTES: NUM_BYTES,
                Table.LANGUAGES: len(config.languages),
                Table.CODEBOOKS: num_codebooks,
                Table.TASKS: len(Marker),
                Table.DIGITS: NUM_DIGITS + 2,
            },
            width,
        )
        self.separator = nn.Parameter(torch.randn(width) * 0.5)
        self.prompt_codes = CodeTables(num_codebooks, size, width)
        # Every table of the output reserves the ids of stop and mask, also where its mode never uses them.
        self.target_codes = CodeTables(num_codebooks + config.group, size + 2, width)
        self.heads = Heads(config.head_sizes, width)
        self.trunk = LlamaTrunk(config)

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return self.separator.device

    def forward(self, batch: Batch, cache: Cache | None = None) -> Tensor:
        """Compute the logits of every predicted element, [M, outputs of the layout's head].

        The last output of an AR row is the stop. An empty `cache` is filled; only causal rows may have one.
        """
        layout = batch.layout
        assert cache is None or layout.mask is MaskKind.CAUSAL, "only causal rows can be cached"
        rows, longest = batch.positions.shape
        pieces = [self._embed(field, batch) for field in layout.fields]
        slots = [batch.slots[field.name] for field in layout.fields]
        pieces.append(self.separator.expand(len(batch.separators), -1).to(pieces[0].dtype))
        slots.append(batch.separators)
        pieces += self._empty_codes(batch.separators)
        grid = pieces[0].new_zeros(rows * longest, self.config.width)
        x = grid.index_copy(0, torch.cat(slots), torch.cat(pieces)).view(rows, longest, -1)
        mask = Mask(self.config.mask_of_rows(layout), batch.row_lengths if batch.is_padded else None)
        hidden = self.trunk(x, mask, batch.positions, cache).flatten(0, 1)[batch.predictions]
        return self.heads(layout.head, hidden, batch.heads)

    def prefill(self, batch: Batch, cache: Cache) -> Tensor:
        """Fill `cache` with causal rows and compute the logits of their next elements, [B, group, outputs]."""
        logits = self(batch, cache)
        group = torch.arange(self.config.group_of(batch.layout), device=logits.device)
        return logits[batch.last_predictions[:, None] + group]

    def step(self, layout: Layout, elements: Tensor, indices: Tensor, cache: Cache) -> Tensor:
        """Append an element to each row, ids [B] or a group of codes [B, group], and predict the one after it.

        `indices` [B] are its indices in the output. Returns logits [B, group, outputs].
        """
        output = layout.output
        if output.codebooks is None:
            x = self.ids(output.table, elements)[:, None]
        else:
            counts = torch.full_like(indices, elements.shape[1])
            tables = torch.arange(elements.shape[1], device=elements.device) + self.config.first_table(output.table)
            x = self.target_codes(elements, counts, tables)[:, None]
        positions = self._next_positions(layout, indices, cache)[:, None]
        hidden = self.trunk(x, Mask(MaskKind.CAUSAL, None), positions, cache)
        group = self.config.group_of(layout)
        numbers = torch.tensor(self.config.frame_heads[:group], device=hidden.device).repeat(len(hidden))
        logits = self.heads(layout.head, hidden.expand(-1, group, -1).flatten(0, 1), numbers)
        return logits.unflatten(0, (-1, group))

    def _next_positions(self, layout: Layout, indices: Tensor, cache: Cache) -> Tensor:
        """Return the position [B] of element number `indices` [B] of each output."""
        stride = self.config.position_stride
        if stride.restarts:
            return (indices + stride.num_begin(layout)) * stride.of(layout.output)
        assert cache.lengths is not None, "a step needs a prefill"
        return cache.lengths

    def _embed(self, field: LayoutField, batch: Batch) -> Tensor:
        elements = batch.elements[field.name]
        if field.codebooks is None:
            return self.ids(field.table, elements)
        embed = self.prompt_codes if self.config.is_prompt(field) else self.target_codes
        return embed(elements, batch.counts[field.name], batch.tables[field.name])

    def _empty_codes(self, like: Tensor) -> list[Tensor]:
        """Embed no codes with each code table, so that tasks without codes give the tables a gradient of zeros."""
        codes, none = like.new_zeros(0, 1), like.new_zeros(1)
        return [embed(codes, like.new_zeros(0), none) for embed in (self.prompt_codes, self.target_codes)]
