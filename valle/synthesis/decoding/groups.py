"""Batch items that are treated alike."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def apply_by_group(
    items: Sequence[Item], key: Callable[[Item], Key], function: Callable[[Key, list[Item]], Sequence[Result]]
) -> list[Result]:
    """Apply `function` to each group of items with equal keys; return one result per item, in the order of the items.

    `function` gets the key and the items of a group and returns one result for each.
    """
    # A dict keeps the order of first occurrence, so that groups run in a fixed order.
    groups: dict[Key, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(key(item), []).append(index)
    results: dict[int, Result] = {}
    for value, indices in groups.items():
        results |= dict(zip(indices, function(value, [items[index] for index in indices]), strict=True))
    return [results[index] for index in range(len(items))]
