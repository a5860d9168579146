"""The position of a run in its data, counted in rows.

Rows, not batches: a run may continue with another batch size, task mix or number of ranks, and still every row of the
epoch is trained on exactly once.
"""

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Cursor:
    """The rows of an epoch that were trained on: the first `rows` in reading order, and some of the window after them.

    `done` marks the latter, one bit per row, as base64.
    """

    epoch: int = 0
    rows: int = 0
    done: str = ""

    def __post_init__(self) -> None:
        try:
            base64.b64decode(self.done, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the rows of the cursor are no base64 ({error})") from error

    def is_done(self, num_rows: int) -> NDArray[np.bool_]:
        """Return which of the `num_rows` rows of the current window were trained on."""
        # `count` of `unpackbits` would leave memory uninitialized where there is no bit at all.
        bits = np.unpackbits(np.frombuffer(base64.b64decode(self.done), dtype=np.uint8)).astype(bool)[:num_rows]
        return np.concatenate([bits, np.zeros(num_rows - len(bits), dtype=bool)])

    def within(self, is_done: NDArray[np.bool_]) -> "Cursor":
        """Return the cursor with other rows of the window marked; a finished window moves the cursor behind it."""
        if is_done.all():
            return Cursor(self.epoch, self.rows + len(is_done))
        return Cursor(self.epoch, self.rows, base64.b64encode(np.packbits(is_done).tobytes()).decode())
