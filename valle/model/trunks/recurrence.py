"""Linear recurrences with decay: S_t = exp(a_t) S_{t-1} + k_t v_t^T and y_t = q_t S_t, in three equal forms.

Retention (Sun et al., arXiv 2307.08621) has a constant decay per head, the state space model of Mamba-2 (Dao and Gu,
arXiv 2405.21060) one that depends on the input. The parallel form costs a matrix of all pairs of slots, the chunkwise
one only pairs within a chunk, the recurrent one a state of constant size. All compute in fp32: products of decays
underflow in half precision. Shapes: queries and keys [B, heads, L, key size], values [B, heads, L, value size], logs of
decays [B or 1, heads, L], states [B, heads, key size, value size].
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from valle.model.attention import AttentionKernel, Mask
from valle.model.layout import MaskKind
from valle.model.trunks.attention_packages import linear_attention_scan

CHUNK = 128
"""Slots of a chunk."""
Scan = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Computes the outputs of causal rows from queries, keys, values and logs of decays."""


def parallel(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, *, is_causal: bool = True) -> Tensor:
    """Compute all outputs from all pairs of slots; without `is_causal`, pairs decay alike in both directions."""
    query, key, value, log_decay = query.float(), key.float(), value.float(), log_decay.float()
    passed = log_decay.cumsum(-1)
    between = passed[..., :, None] - passed[..., None, :]
    if is_causal:
        later = torch.ones(between.shape[-2:], dtype=torch.bool, device=between.device).triu(1)
        decay = between.masked_fill(later, -torch.inf).exp()
    else:
        decay = (-between.abs()).exp()
    return (query @ key.transpose(-1, -2) * decay) @ value


def scan_of(kernel: AttentionKernel) -> Scan:
    """Return the scan of a kernel: that of flash-linear-attention, or plain torch for every kernel of attention."""
    return linear_attention_scan if kernel is AttentionKernel.FLA else plain_scan


def scan_rows(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, *, is_causal: bool, scan: Scan) -> Tensor:
    """Compute what `parallel` computes by scans: one of causal rows, or one in each direction."""
    forward = scan(query, key, value, log_decay)
    if is_causal:
        return forward
    # Backwards, the step from t + 1 to t has the decay of t + 1.
    shifted = functional.pad(log_decay[..., 1:], (0, 1))
    reverse = scan(query.flip(2), key.flip(2), value.flip(2), shifted.flip(-1)).flip(2)
    own = (query.float() * key.float()).sum(-1, keepdim=True) * value.float()
    return forward + reverse - own


def plain_scan(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, chunk: int = CHUNK) -> Tensor:
    """Compute causal rows chunk by chunk, in memory that grows with the length, not with its square."""
    query, key, value, log_decay = query.float(), key.float(), value.float(), log_decay.float()
    state = query.new_zeros(*query.shape[:2], key.shape[-1], value.shape[-1])
    outputs = []
    pieces = zip(
        *(torch.split(x, chunk, 2) for x in (query, key, value)), torch.split(log_decay, chunk, -1), strict=True
    )
    for q, k, v, decay in pieces:
        passed = decay.cumsum(-1)[..., None]
        outputs.append(parallel(q, k, v, decay) + (q * passed.exp()) @ state)
        total = passed[..., -1:, :]
        state = total.exp() * state + (k * (total - passed).exp()).transpose(-1, -2) @ v
    return torch.cat(outputs, 2)


def final_state(key: Tensor, value: Tensor, log_decay: Tensor, lengths: Tensor) -> Tensor:
    """Compute the state after the first `lengths` [B] slots of each row."""
    key, value, passed = key.float(), value.float(), log_decay.float().cumsum(-1)
    passed = passed.expand(len(lengths), -1, -1)
    last = (lengths - 1)[:, None, None].expand(-1, passed.shape[1], 1)
    slots = torch.arange(key.shape[2], device=key.device)
    remaining = (passed.gather(-1, last) - passed).masked_fill(slots >= lengths[:, None, None], -torch.inf)
    return (key * remaining.exp()[..., None]).transpose(-1, -2) @ value


def step(state: Tensor, query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
    """Advance a state by one slot (L = 1); returns the output [B, heads, 1, value size] and the new state."""
    decay = log_decay.float().exp()[..., None]
    state = decay * state + key.float().transpose(-1, -2) @ value.float()
    return query.float() @ state, state


def advance(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor,
    *,
    mask: Mask,
    scan: Scan,
    before: Tensor | None,
    keeps_state: bool,
) -> tuple[Tensor, Tensor | None]:
    """Compute the outputs of a pass, and the state after it if wanted: of one slot after a state, or of whole rows."""
    if before is not None:
        return step(before, query, key, value, log_decay)
    rows, _, length, _ = query.shape
    is_causal, valid = mask.kind is MaskKind.CAUSAL, mask.valid(rows, length, query.device)
    if valid is not None and not is_causal:
        key = key * valid[:, None, :, None]
    if length <= CHUNK and scan is plain_scan:
        outputs = parallel(query, key, value, log_decay, is_causal=is_causal)
    else:
        outputs = scan_rows(query, key, value, log_decay, is_causal=is_causal, scan=scan)
    if not keeps_state:
        return outputs, None
    return outputs, final_state(key, value, log_decay, mask.row_lengths(rows, length, query.device))


class StateCache:
    """Tensors of constant size per row and layer, which a recurrent trunk replaces at every slot."""

    def __init__(self, depth: int) -> None:
        self._layers: list[tuple[Tensor, ...]] = [()] * depth
        self.lengths: Tensor | None = None  # [B], slots of each row

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written to every layer."""
        return not self._layers[-1]

    def read(self, layer: int) -> tuple[Tensor, ...] | None:
        """Return the tensors of a layer; None before the first slot."""
        return self._layers[layer] or None

    def write(self, layer: int, *tensors: Tensor) -> None:
        """Replace the tensors of a layer, each [B, ...]."""
        self._layers[layer] = tensors

    def grow(self, lengths: Tensor) -> None:
        """Set the number of slots of each row, [B]."""
        self.lengths = lengths

    def join(self, other: "StateCache") -> None:
        """Append the rows of another filled cache of the same trunk."""
        assert self.lengths is not None, "rows join a filled cache"
        assert other.lengths is not None, "the rows that join have a prefill"
        pairs = zip(self._layers, other._layers, strict=True)
        self._layers = [tuple(torch.cat(both) for both in zip(mine, theirs, strict=True)) for mine, theirs in pairs]
        self.lengths = torch.cat([self.lengths, other.lengths])

    def shorten(self, columns: Tensor) -> None:
        """Refuse: a state cannot forget its last slot."""
        raise AssertionError("a state cannot take slots back")

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order."""
        assert self.lengths is not None, "nothing to keep"
        self.lengths = self.lengths[rows]
        self._layers = [tuple(tensor[rows] for tensor in layer) for layer in self._layers]

    @property
    def num_bytes(self) -> int:
        """Count the bytes of all tensors."""
        return sum(tensor.nbytes for layer in self._layers for tensor in layer)
