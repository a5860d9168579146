"""Resolved lists of evaluation items: frozen, stored beside the report, identified by their hash.

The hash covers texts, prompts and trials, never the location of files: the same list has the same hash on every
machine.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from valle.audio import AudioLocation
from valle.evaluation.items.items import EvaluationItem
from valle.reporting import write_text
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

# Raise it when the file changes in a way that earlier versions cannot read.
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ItemList:
    """The items of one evaluation; `source` describes their origin in a line."""

    protocol: str
    source: str
    items: tuple[EvaluationItem, ...]

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits of the content."""
        # Sorted, because the order of a list does not change what is measured.
        content = [_content(item) for item in sorted(self.items, key=lambda item: (item.utterance, item.trial))]
        return short_hash(json.dumps(content, sort_keys=True, ensure_ascii=False))[:12]

    @property
    def has_recordings(self) -> bool:
        """True if every text has a recording, so that there is a ground truth."""
        return all(item.location is not None for item in self.items)

    @property
    def has_prompts(self) -> bool:
        """True if every item has a prompt."""
        return all(item.prompt_location is not None for item in self.items)

    def with_trials(self, trials: int) -> "ItemList":
        """Return the list with every item repeated `trials` times."""
        repeated = [dataclasses.replace(item, trial=trial) for item in self.items for trial in range(trials)]
        return dataclasses.replace(self, items=tuple(repeated))


def _span(location: AudioLocation | None) -> list[int | None] | None:
    if location is None:
        return None
    # Most recordings have one channel, whose number is left out so that their lists keep the hash they have.
    channel = [] if location.channel is None else [location.channel]
    return [location.start_sample, location.num_samples, *channel]


def _content(item: EvaluationItem) -> dict[str, Any]:
    fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    # Durations are measured, or rounded in a published list; the sample span states them exactly.
    for name in ("duration", "prompt_duration"):
        fields.pop(name)
    return fields | {"location": _span(item.location), "prompt_location": _span(item.prompt_location)}


def check_utterances(items: Sequence[EvaluationItem], source: str) -> None:
    """Raise ConfigurationError for an utterance that is listed twice or is no valid file name."""
    seen: set[tuple[str, int]] = set()
    for item in items:
        if (item.utterance, item.trial) in seen:
            raise ConfigurationError(f"{source}: the utterance {item.utterance} is listed twice; name each one once.")
        # The name becomes a path, which must stay inside the folder of speech.
        if "/" in item.utterance or item.utterance.startswith("."):
            raise ConfigurationError(f"{source}: {item.utterance!r} cannot be the name of a file of speech.")
        seen.add((item.utterance, item.trial))


def write_list(items: ItemList, path: Path) -> None:
    """Write a list as JSON, atomically."""
    content = {"format": _FORMAT, "hash": items.hash, **dataclasses.asdict(items)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_list(path: Path) -> ItemList:
    """Read a list that `write_list` wrote. Raise ConfigurationError when it is invalid or was changed."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        items = ItemList(
            protocol=content["protocol"],
            source=content["source"],
            items=tuple(_item(record) for record in content["items"]),
        )
        stored_hash = content["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no list of evaluation items ({error}); resolve it again.") from error
    # An edited list would claim the scores of the original.
    if items.hash != stored_hash:
        raise ConfigurationError(
            f"{path} declares the hash {stored_hash}, but its items give {items.hash}; resolve it again."
        )
    return items


def _item(record: dict[str, Any]) -> EvaluationItem:
    locations = {
        name: None if record[name] is None else AudioLocation(**record[name])
        for name in ("location", "prompt_location")
    }
    return EvaluationItem(**record | locations)
