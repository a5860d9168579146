"""The probability of each codebook as the target of a row, and how it changes over the epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from warehouse.errors import ConfigurationError, unknown_name

Weights = tuple[float, ...]

ScheduleName = Literal["triangular", "uniform", "bell"]


def codebook_weights(schedule: str | Sequence[float], num_codebooks: int) -> Weights:
    """Compute the probability of each codebook, summing to 1.

    `triangular` weighs codebook q with num_codebooks - q, `uniform` with 1, `bell` with 2 ** min(q, num_codebooks -
    1 - q); a sequence gives the weights themselves. Raises ConfigurationError for an unknown schedule or a wrong
    number of weights.
    """
    if isinstance(schedule, str):
        if schedule not in get_args(ScheduleName):
            raise unknown_name("codebook schedule", schedule, get_args(ScheduleName))
        weights = {
            "triangular": [num_codebooks - codebook for codebook in range(num_codebooks)],
            "uniform": [1] * num_codebooks,
            "bell": [2 ** min(codebook, num_codebooks - 1 - codebook) for codebook in range(num_codebooks)],
        }[schedule]
    else:
        weights = list(schedule)
    if len(weights) != num_codebooks or min(weights) < 0 or sum(weights) <= 0:
        raise ConfigurationError(
            f"The codebook weights {weights} must be {num_codebooks} numbers, none negative, one per codebook of the "
            "codec."
        )
    return tuple(weight / sum(weights) for weight in weights)


@dataclass(frozen=True, slots=True)
class CodebookSchedule:
    """Weights `early` up to and including epoch `first`, `late` from epoch `last` on, interpolated in between."""

    early: Weights
    late: Weights
    first: int = 0
    last: int = 0

    def weights(self, epoch: int) -> Weights:
        """Compute the weights of an epoch, summing to 1."""
        if epoch >= self.last:
            return self.late
        fraction = max(0.0, (epoch - self.first) / (self.last - self.first))
        pairs = zip(self.early, self.late, strict=True)
        return tuple((1 - fraction) * early + fraction * late for early, late in pairs)
