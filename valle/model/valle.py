"""The network of all tasks and modes: one trunk, with tables, heads and masks selected by the layout of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from valle.model.adapters.lora import Adapters
from valle.model.attention import ContextWindow, Mask
from valle.model.config import NUM_BYTES, NUM_DIGITS, ModelConfig
from valle.model.embeddings import CodeTables, Heads, IdTables
from valle.model.layout import CODEBOOK, Layout, LayoutField, Marker, MaskKind, Mode, Table
from valle.model.lookahead import Lookahead
from valle.model.trunks.registry import make_trunk
from valle.model.whole_frames import FrameHeads, FrameTables

if TYPE_CHECKING:
    from valle.model.batch import Batch
    from valle.model.trunks.base import DecodingCache


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
        # Every table of the output reserves the ids of stop and mask, also where its mode never uses them.
        if config.whole_frames:
            self.prompt_codes: CodeTables = FrameTables(num_codebooks, 1, size, width)
            self.target_codes: CodeTables = FrameTables(num_codebooks, 2, size + 2, width)
            self.heads: Heads = FrameHeads(config.head_sizes, width)
        else:
            self.prompt_codes = CodeTables(num_codebooks, size, width)
            self.target_codes = CodeTables(len(config.target_tables), size + 2, width)
            self.heads = Heads(config.head_sizes, width)
        self.trunk = make_trunk(config)
        self.lookahead = Lookahead(config.lookahead, width) if config.lookahead else None
        self.lookahead_loss: Tensor | None = None
        """Summed loss of the guesses of the last forward in training."""
        self.adapters = Adapters()

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return self.separator.device

    def forward(self, batch: Batch) -> Tensor:
        """Compute the logits of every predicted element, [M, outputs of the layout's head].

        The last output of an AR row is the stop.
        """
        layout, hidden = batch.layout, self._hidden(batch)
        if self.lookahead is not None and self.training:
            is_guessed = layout.mode is Mode.AR and batch.labels is not None
            loss = self.lookahead.loss(hidden, batch, self.heads, self.config.group) if is_guessed else None
            self.lookahead_loss = self.lookahead.no_loss() if loss is None else loss
        return self.heads(layout.head, hidden, batch.heads)

    def _hidden(self, batch: Batch, cache: DecodingCache | None = None) -> Tensor:
        """Compute the hidden state of every predicted element, [M, width], and fill an empty `cache` of causal rows."""
        layout = batch.layout
        assert cache is None or layout.mask is MaskKind.CAUSAL, "only causal rows can be cached"
        rows, longest = batch.positions.shape
        codebooks = batch.elements[CODEBOOK.name]  # one of each row
        self.adapters.select(codebooks, is_speech=layout.mode is not Mode.TOKENS)
        pieces = [self._embed(field, batch) for field in layout.sequence]
        slots = [batch.slots[field.name] for field in layout.sequence]
        pieces.append(self.separator.expand(len(batch.separators), -1).to(pieces[0].dtype))
        slots.append(batch.separators)
        pieces += self._empty_codes(batch.separators)
        grid = pieces[0].new_zeros(rows * longest, self.config.width)
        x = grid.index_copy(0, torch.cat(slots), torch.cat(pieces))
        for field in layout.aligned:
            x = x.index_add(0, batch.slots[field.name], self._embed(field, batch).to(x.dtype))
        x = x.view(rows, longest, -1)
        lengths = batch.row_lengths if batch.is_padded else None
        mask = Mask(self.config.mask_of_rows(layout), lengths, self._window(batch, cache))
        return self.trunk(x, mask, batch.positions, cache, codebooks).flatten(0, 1)[batch.predictions]

    def _window(self, batch: Batch, cache: DecodingCache | None) -> ContextWindow | None:
        """Return the limit on what AR rows see, None where no row can reach it."""
        size = self.config.max_context // self.config.group
        if not size or batch.layout.mode is not Mode.AR or (cache is None and batch.positions.shape[1] <= size):
            return None
        return ContextWindow(batch.output_starts, size)

    def new_cache(self, capacity: int = 0) -> DecodingCache:
        """Return an empty cache for causal rows, with room for `capacity` slots."""
        return self.trunk.new_cache(capacity)

    def prefill(self, batch: Batch, cache: DecodingCache) -> Tensor:
        """Fill `cache` with causal rows and compute the logits of their next elements, [B, group, outputs].

        A group are the predictions of one slot: frames, or the codebooks of a whole frame.
        """
        return self.group_logits(batch.layout, self.read(batch, cache))

    def read(self, batch: Batch, cache: DecodingCache) -> Tensor:
        """Fill `cache` with causal rows; returns the state that predicts the next element of each, [B, width]."""
        return self._hidden(batch, cache)[batch.last_predictions]

    def step(self, layout: Layout, elements: Tensor, indices: Tensor, cache: DecodingCache) -> Tensor:
        """Append an element to each row, ids [B] or a group of codes [B, group], and predict the one after it.

        `indices` [B] are its indices in the output. Returns logits [B, group, outputs].
        """
        hidden = self.append(layout, elements[:, None], indices[:, None], cache)
        return self.group_logits(layout, hidden[:, 0])

    def append(self, layout: Layout, elements: Tensor, indices: Tensor, cache: DecodingCache) -> Tensor:
        """Append n elements to each row: ids [B, n], or groups of codes [B, n, group].

        `indices` [B, n] are their indices in the output. Returns hidden states [B, n, width].
        """
        output, codebooks = layout.output, torch.zeros_like(indices[:, 0])
        self.adapters.select(codebooks, is_speech=layout.mode is not Mode.TOKENS)
        if output.codebooks is None:
            x = self.ids(output.table, elements.flatten())
        else:
            codes = elements.flatten(0, 1)
            counts = codes.new_full((len(codes),), codes.shape[1])
            tables = torch.arange(codes.shape[1], device=codes.device) + self.config.first_table(output.table)
            x = self.target_codes(codes, counts, tables)
        positions = self._next_positions(layout, indices, cache)
        x = x.unflatten(0, indices.shape)
        return self.trunk(x, Mask(MaskKind.CAUSAL, None), positions, cache, codebooks)

    def group_logits(self, layout: Layout, hidden: Tensor) -> Tensor:
        """Compute the logits of the next elements, [..., group, outputs], from hidden states [..., width]."""
        group, flat = self.config.predictions_of(layout), hidden.flatten(0, -2)
        if group == 1:
            first = torch.zeros(1, dtype=torch.long)  # the head of all of them
            return self.heads(layout.head, flat, first).unflatten(0, (*hidden.shape[:-1], 1))
        numbers = torch.tensor(self.config.slot_heads[:group], device=hidden.device).repeat(len(flat))
        logits = self.heads(layout.head, flat[:, None].expand(-1, group, -1).flatten(0, 1), numbers)
        return logits.unflatten(0, (*hidden.shape[:-1], group))

    def guess_logits(self, layout: Layout, hidden: Tensor) -> Tensor:
        """Compute the logits of the groups after the next one, [B, guesses, group, outputs], from [B, width]."""
        assert self.lookahead is not None, "the model has no heads for guesses"
        guessed = [self.lookahead(hidden, guess) for guess in range(self.lookahead.guesses)]
        return self.group_logits(layout, torch.stack(guessed, 1))

    def trained_state(self) -> dict[str, Tensor]:
        """Return the state that training changes: of the adapter that is trained, or else of the whole model."""
        state = self.state_dict()
        trained = {name for name, parameter in self.adapters.named_parameters("adapters") if parameter.requires_grad}
        return {name: state[name] for name in trained} if trained else state

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Load a state of `trained_state`. Raises RuntimeError for other names or shapes."""
        if state.keys() != self.trained_state().keys():
            raise RuntimeError("its parameters are others")
        self.load_state_dict(state, strict=False)

    def _next_positions(self, layout: Layout, indices: Tensor, cache: DecodingCache) -> Tensor:
        """Return the positions [B, n] of elements number `indices` [B, n] of each output."""
        stride = self.config.position_stride
        if stride.restarts:
            return (indices + stride.num_begin(layout)) * stride.of(layout.output)
        assert cache.lengths is not None, "a step needs a prefill"
        return cache.lengths[:, None] + torch.arange(indices.shape[1], device=indices.device)

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
