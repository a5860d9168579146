"""Choose evaluation items from utterances of the lake, by hash and never by order.

Adding utterances to the lake changes few of the choices, and the same utterances always give the same items.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import pyarrow as pa

from valle.audio import AudioLocation
from warehouse.errors import ConfigurationError

T = TypeVar("T")
Protocol = Literal["cross_sentence", "continuation"]

PublishedProtocol = Literal["librispeech_pc", "seed_tts_eval", "librispeech_cross_sentence", "librispeech_continuation"]
"""Published lists of items, which `protocols.py` reads."""

CONTINUATION_SECONDS = 3.0
"""Seconds of its own beginning that an utterance gives as the prompt of a continuation (VALL-E, section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """A text to synthesize and the prompt that defines the speaker.

    `location` is the recording of the text, the ground truth; None where there is none. Under `continuation` the
    prompt is the beginning of that recording, `prompt_text` is empty because `text` covers both, and similarity is
    measured on what follows the prompt. `prompt_text` is also empty where the words of the prompt are unknown.
    Published lists may hold texts without a prompt: `prompt` is then empty and `prompt_location` None.
    """

    utterance: str
    text: str
    language: str
    speaker: str
    location: AudioLocation | None
    duration: float | None
    prompt: str
    prompt_location: AudioLocation | None
    prompt_text: str
    prompt_duration: float | None
    protocol: str
    trial: int = 0


def is_continuation(item: EvaluationItem) -> bool:
    """Return whether the speech begins with its prompt, the beginning of the recording of the text."""
    return item.protocol.endswith("continuation")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemLimits:
    """Bounds, in seconds, on the utterances that are synthesized and on those that serve as prompts."""

    min_duration: float = 0.0
    max_duration: float = float("inf")
    min_prompt_duration: float = 0.0
    max_prompt_duration: float = float("inf")


def hash_order(seed: int, *names: str) -> str:
    """Return a sort key of sixteen hex digits that is unrelated to the names and equal on every machine."""
    # A hash and not a shuffle, which would reorder everything when one utterance is added.
    return hashlib.blake2b("\x1f".join((str(seed), *names)).encode(), digest_size=8).hexdigest()


def _location(row: Mapping[str, Any]) -> AudioLocation:
    return AudioLocation(
        row["path"], row["offset"], row["size"], row["start_sample"], row["num_samples"], row.get("channel")
    )


def _words(text: str) -> str:
    # Case and punctuation do not make another text.
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _prompt_for(
    row: Mapping[str, Any], by_same_speaker: Sequence[Mapping[str, Any]], limits: ItemLimits, seed: int
) -> Mapping[str, Any] | None:
    """Return a prompt with another text by the same speaker, from another recording if there is one."""
    candidates = [
        prompt
        for prompt in by_same_speaker
        if prompt["segment_id"] != row["segment_id"]
        and _words(prompt["text"]) != _words(row["text"])
        and limits.min_prompt_duration <= prompt["duration"] <= limits.max_prompt_duration
    ]
    return min(
        candidates,
        key=lambda prompt: (
            # The same recording shares its microphone and room, which would raise the similarity.
            prompt["recording_id"] == row["recording_id"],
            hash_order(seed, row["segment_id"], prompt["segment_id"]),
        ),
        default=None,
    )


def _cross_sentence(
    row: Mapping[str, Any], by_same_speaker: Sequence[Mapping[str, Any]], limits: ItemLimits, seed: int
) -> EvaluationItem | None:
    prompt = _prompt_for(row, by_same_speaker, limits, seed)
    if prompt is None:
        return None
    return EvaluationItem(
        utterance=row["segment_id"],
        text=row["text"],
        language=row["language"] or "en",
        speaker=row["speaker"],
        location=_location(row),
        duration=row["duration"],
        prompt=prompt["segment_id"],
        prompt_location=_location(prompt),
        prompt_text=prompt["text"],
        prompt_duration=prompt["duration"],
        protocol="cross_sentence",
    )


def _continuation(row: Mapping[str, Any]) -> EvaluationItem | None:
    prompt_samples = round(CONTINUATION_SECONDS * row["sample_rate"])
    if row["num_samples"] <= prompt_samples:
        return None
    location = _location(row)
    return EvaluationItem(
        utterance=row["segment_id"],
        text=row["text"],
        language=row["language"] or "en",
        speaker=row["speaker"],
        location=location,
        duration=row["duration"],
        prompt=row["segment_id"],
        prompt_location=replace(location, num_samples=prompt_samples),
        prompt_text="",
        prompt_duration=CONTINUATION_SECONDS,
        protocol="continuation",
    )


def _alternate_speakers(
    entries: Sequence[T], seed: int, name: Callable[[T], str], speaker: Callable[[T], str]
) -> list[T]:
    """Order entries round-robin over speakers, because intervals are clustered by speaker and need many of them."""
    num_earlier: Counter[str] = Counter()
    ranked = []
    for entry in sorted(entries, key=lambda entry: hash_order(seed, name(entry))):
        ranked.append((num_earlier[speaker(entry)], hash_order(seed, speaker(entry)), entry))
        num_earlier[speaker(entry)] += 1
    return [entry for _, _, entry in sorted(ranked, key=lambda rank: rank[:2])]


def spread_over_speakers(items: Sequence[EvaluationItem], count: int, *, seed: int = 0) -> list[EvaluationItem]:
    """Return up to `count` of the items, spread evenly over speakers."""
    return _alternate_speakers(items, seed, lambda item: item.utterance, lambda item: item.speaker)[:count]


def choose_items(
    utterances: pa.Table | Sequence[Mapping[str, Any]],
    *,
    protocol: Protocol = "cross_sentence",
    count: int,
    seed: int = 0,
    trials: int = 1,
    limits: ItemLimits | None = None,
    allow_fewer: bool = False,
) -> list[EvaluationItem]:
    """Choose `count` utterances, spread over speakers, and repeat each `trials` times: `count * trials` items.

    `utterances` are rows of the view of that name; rows without a speaker or a text are skipped. Under
    `cross_sentence` the prompt is another utterance of the same speaker with another text, under `continuation` the
    first three seconds of the utterance itself. Raise ConfigurationError when there are fewer than `count`, or none
    at all with `allow_fewer`.
    """
    if protocol not in get_args(Protocol):
        raise ConfigurationError(f"A protocol is {' or '.join(get_args(Protocol))}, not {protocol!r}.")
    limits = limits or ItemLimits()
    rows = utterances.to_pylist() if isinstance(utterances, pa.Table) else utterances
    # Without a speaker there is no prompt, and intervals cannot be clustered.
    usable = [row for row in rows if row["speaker"] and _words(row["text"] or "")]
    by_speaker: dict[str, list[Mapping[str, Any]]] = {}
    for row in usable:
        by_speaker.setdefault(row["speaker"], []).append(row)
    items: list[EvaluationItem] = []
    for row in _alternate_speakers(usable, seed, lambda row: row["segment_id"], lambda row: row["speaker"]):
        if len(items) == count:
            break
        if not limits.min_duration <= row["duration"] <= limits.max_duration:
            continue
        by_same_speaker = by_speaker[row["speaker"]]
        item = _continuation(row) if protocol == "continuation" else _cross_sentence(row, by_same_speaker, limits, seed)
        if item is not None:
            items.append(item)
    if not items or (len(items) < count and not allow_fewer):
        raise ConfigurationError(
            f"Only {len(items)} of {len(rows)} utterances can be evaluated under {protocol}, {count} were requested: "
            "request fewer, or select more utterances with a speaker, a text and a prompt."
        )
    return [replace(item, trial=trial) for item in items for trial in range(trials)]
