"""A resolved list of what an evaluation speaks: frozen, stored beside the report, known by its hash.

The hash covers what is spoken, in whose voice and how often, never where the files lie: the same list has the same
hash on every machine.
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
from warehouse.errors import ConfigurationError
from warehouse.fingerprints import short_hash

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ItemList:
    """The items of one evaluation; `source` says in a line where they come from."""

    protocol: str
    source: str
    items: tuple[EvaluationItem, ...]

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits of the content."""
        content = [_content(item) for item in sorted(self.items, key=lambda item: (item.utterance, item.trial))]
        return short_hash(json.dumps(content, sort_keys=True, ensure_ascii=False))[:12]

    @property
    def has_recordings(self) -> bool:
        """Whether every sentence was recorded, so that there is a ground truth."""
        return all(item.location is not None for item in self.items)

    @property
    def has_prompts(self) -> bool:
        """Whether every sentence is to be spoken in a given voice."""
        return all(item.prompt_location is not None for item in self.items)

    def with_trials(self, trials: int) -> "ItemList":
        """Every item `trials` times."""
        repeated = [dataclasses.replace(item, trial=trial) for item in self.items for trial in range(trials)]
        return dataclasses.replace(self, items=tuple(repeated))


def _span(location: AudioLocation | None) -> list[int | None] | None:
    return None if location is None else [location.start_sample, location.num_samples]


def _content(item: EvaluationItem) -> dict[str, Any]:
    known = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    # Durations are measured or read from a list with rounding; the samples say the same exactly.
    for name in ("duration", "prompt_duration"):
        known.pop(name)
    return known | {"location": _span(item.location), "prompt_location": _span(item.prompt_location)}


def check_utterances(items: Sequence[EvaluationItem], source: str) -> None:
    """Raises ConfigurationError for an utterance that stands twice or whose name cannot be that of a file."""
    seen: set[tuple[str, int]] = set()
    for item in items:
        if (item.utterance, item.trial) in seen:
            raise ConfigurationError(f"{source}: the utterance {item.utterance} stands twice; name each one once.")
        if "/" in item.utterance or item.utterance.startswith("."):
            raise ConfigurationError(f"{source}: {item.utterance!r} cannot be the name of a file of speech.")
        seen.add((item.utterance, item.trial))


def write_list(items: ItemList, path: Path) -> None:
    """Write a list as JSON, atomically."""
    content = {"format": _FORMAT, "hash": items.hash, **dataclasses.asdict(items)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_list(path: Path) -> ItemList:
    """Read a list that `write_list` wrote. Raises ConfigurationError when it is none, or was changed since."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        items = ItemList(
            protocol=content["protocol"],
            source=content["source"],
            items=tuple(_item(record) for record in content["items"]),
        )
        given = content["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no list of evaluation items ({error}); resolve it again.") from error
    if items.hash != given:
        raise ConfigurationError(f"{path} says its hash is {given}, but its items give {items.hash}; resolve it again.")
    return items


def _item(record: dict[str, Any]) -> EvaluationItem:
    locations = {
        name: None if record[name] is None else AudioLocation(**record[name])
        for name in ("location", "prompt_location")
    }
    return EvaluationItem(**record | locations)
