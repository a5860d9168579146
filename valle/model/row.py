"""A single model row before it is part of a batch; numpy only, so that tasks and options import no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.layout import Ints


Elements: TypeAlias = "Ints | Codes"
"""Ids [n] or codes [K', n]."""


@dataclass(frozen=True, slots=True)
class Row:
    """The codebook that a row predicts and the elements of each field of its layout.

    Ids are [n], codes are [K', T]; a field that is not given is empty. An output of codes needs codebook 0; a NAR row
    of codebook q needs those up to q in training and those below q in decoding. `masked` [T] marks the elements of
    the output that a NAR-len row hides, `labelled` [T] those of a NAR row that have a loss, None for all.
    """

    codebook: int
    fields: Mapping[str, Elements]
    masked: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None
