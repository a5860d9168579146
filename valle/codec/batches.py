"""Group clips into batches whose results equal those of single clips."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import torch


def batch_groups(sizes: Sequence[Hashable], device: torch.device) -> list[list[int]]:
    """Return the indices of the clips that run through a network together.

    On a CPU every clip runs alone, which is as fast. Only so do its codes depend on nothing but itself: the order in
    which a matrix product sums changes with the number of rows. Elsewhere clips of equal size share a batch.
    """
    if device.type == "cpu":
        return [[index] for index in range(len(sizes))]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        groups[size].append(index)
    return list(groups.values())
