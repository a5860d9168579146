"""How often each codebook is the one to predict, and how that changes while training goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.errors import ConfigurationError

LEVEL_LAWS = ("triangular", "uniform", "bell")

Weights = tuple[float, ...]


def level_weights(law: str | Sequence[float], num_levels: int) -> Weights:
    """How often each level is drawn, summing to 1.

    `triangular` weighs level q with num_levels - q, `uniform` with 1, `bell` with 2 ** min(q, num_levels - 1 - q);
    a sequence gives the weights themselves. Raises ConfigurationError for an unknown law or a wrong number of weights.
    """
    if isinstance(law, str):
        if law not in LEVEL_LAWS:
            raise ConfigurationError(f"There is no level law {law!r}; choose one of {', '.join(LEVEL_LAWS)}.")
        laws = {
            "triangular": [num_levels - level for level in range(num_levels)],
            "uniform": [1] * num_levels,
            "bell": [2 ** min(level, num_levels - 1 - level) for level in range(num_levels)],
        }
        raw = [float(weight) for weight in laws[law]]
    else:
        raw = [float(weight) for weight in law]
    if len(raw) != num_levels or min(raw) < 0 or sum(raw) <= 0:
        raise ConfigurationError(
            f"The level weights {raw} must be {num_levels} numbers, none negative, one per codebook of the codec."
        )
    return tuple(weight / sum(raw) for weight in raw)


@dataclass(frozen=True, slots=True)
class LevelCurriculum:
    """Weights of the levels: `early` up to and with epoch `first`, `late` from epoch `last` on, mixed in between."""

    early: Weights
    late: Weights
    first: int = 0
    last: int = 0

    @classmethod
    def constant(cls, weights: Weights) -> "LevelCurriculum":
        """The same weights in every epoch."""
        return cls(weights, weights)

    def weights(self, epoch: int) -> Weights:
        """The weights of an epoch, summing to 1."""
        if epoch >= self.last:
            return self.late
        share = max(0.0, (epoch - self.first) / (self.last - self.first))
        return tuple((1 - share) * early + share * late for early, late in zip(self.early, self.late, strict=True))
