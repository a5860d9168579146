"""Draw texts for synthesis: digit strings, sentences over a closed vocabulary, and a few general sentences.

Every line is drawn from (seed, voice, index) alone, so a corpus can be continued, or its middle drawn again, without
its beginning. One text in twenty is reserved for tests, by its hash, so that no training line of any seed is ever the
text of a test.
"""

import hashlib
import random
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, Protocol

from warehouse.errors import ConfigurationError

Kind = Literal["digits", "sentence", "general", "phrase", "pair", "words", "number", "name"]

PATTERN: tuple[Kind, ...] = (
    "digits", "sentence", "digits", "digits", "sentence", "digits", "sentence", "digits", "digits", "sentence",
    "digits", "general", "digits", "sentence", "digits", "sentence", "digits", "digits", "sentence", "digits",
)  # fmt: skip
"""Kinds of a voice's lines, repeated: 12 digit strings, 7 sentences and 1 general sentence in 20."""

SPEEDS = (0.9, 1.0, 1.0, 1.1)

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LENGTHS: Mapping[int, int] = {2: 1, 3: 2, 4: 2, 5: 2, 6: 2, 7: 1, 8: 1}  # digits in a string -> how often
_RESERVED = 13  # of the 256 values of the first byte of a text's hash
_ATTEMPTS = 1_000

_TEMPLATES = (
    "{name} left the {colour} coat behind the {place}.",
    "{name} said the {place} opens at {hour} on {day}.",
    "{name} will meet {name} at {hour} o'clock on {day}.",
    "Did {name} buy {number} or {number} {colour} {fruit}?",
    "It was {weather} in {city} on {day}.",
    "My {relative} lives near the {place} in {city}.",
    "Please call {name} before {hour} on {day} morning.",
    "The train to {city} leaves from platform {number} in {number} minutes.",
    "The {weather} weather in {city} will last until {day}.",
    "There are {number} {colour} boxes near the {place}.",
    "Turn {side} at the {place}, then walk for {number} minutes.",
    "We need {number} more {fruit} and {number} {colour} plates.",
)
_WORDS: Mapping[str, tuple[str, ...]] = {
    "city": ("Boston", "Dublin", "London", "Oslo", "Paris", "Vienna"),
    "colour": ("black", "blue", "green", "red", "white", "yellow"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fruit": ("apples", "lemons", "oranges", "pears", "plums"),
    "hour": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "name": ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry"),
    "number": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "place": ("bridge", "garden", "library", "market", "old church", "river", "school", "station"),
    "relative": ("brother", "cousin", "father", "mother", "sister", "uncle"),
    "side": ("left", "right"),
    "weather": ("cold", "foggy", "rainy", "sunny", "warm", "windy"),
}
_SLOT = re.compile(r"\{(\w+)\}")
_APART = re.compile(r"[^a-z']+")


@dataclass(frozen=True, slots=True)
class Line:
    """A text to synthesize: `prompt` as it is written for the synthesizer, and the speed.

    `text` is lower-case words without punctuation for kinds `digits` and `sentence`, and the prompt for all others.
    """

    kind: Kind
    text: str
    prompt: str
    speed: float


class TextSource(Protocol):
    """A source of the lines of a corpus: this module, or `manifests.synthesis.open_texts.OpenTexts`."""

    def draw_line(self, seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
        """Return a training line: neither reserved nor in `excluded`."""
        ...

    def draw_test_line(self, seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
        """Return a test line: reserved and not in `excluded`."""
        ...


def draw_line(seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
    """Return training line `index` of a voice; its text is neither reserved nor in `excluded` (`words_of`)."""
    kind = PATTERN[index % len(PATTERN)]
    return _draw(seed, voice, index, kind, lambda words: not is_reserved(words) and words not in excluded)


def draw_test_line(seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
    """Return test line `index` of a voice, a digit string; its text is reserved and not in `excluded` (`words_of`)."""
    return _draw(seed, voice, index, "digits", lambda words: is_reserved(words) and words not in excluded)


def is_reserved(text: str) -> bool:
    """Return whether a text belongs to tests, by its words alone: case and punctuation make no difference."""
    return hashlib.sha256(words_of(text).encode()).digest()[0] < _RESERVED


def words_of(text: str) -> str:
    """Return the words of an English text in lower case with one space between them."""
    return " ".join(_APART.sub(" ", text.lower()).split())


def _draw(seed: int, voice: str, index: int, kind: Kind, is_allowed: Callable[[str], bool]) -> Line:
    rng = random.Random(f"{seed}:{voice}:{index}")
    for _ in range(_ATTEMPTS):
        prompt = _PROMPTS[kind](rng)
        words = words_of(prompt)
        if is_allowed(words):
            return Line(kind, prompt if kind == "general" else words, prompt, rng.choice(SPEEDS))
    raise ConfigurationError(f"Every {kind} text for {voice} is excluded: avoid fewer texts.")


def digit_string(rng: random.Random) -> str:
    """Draw a string of two to eight digits, half of the long ones with a pause after the third."""
    (length,) = rng.choices(list(_LENGTHS), weights=list(_LENGTHS.values()))
    words = [rng.choice(_DIGITS) for _ in range(length)]
    if length >= 5 and rng.random() < 0.5:
        words[2] += ","  # people group long numbers
    return f"{' '.join(words).capitalize()}."


def _sentence(rng: random.Random) -> str:
    template = rng.choice(_TEMPLATES)
    used: set[str] = set()

    def fill(slot: re.Match[str]) -> str:
        word = rng.choice([word for word in _WORDS[slot[1]] if word not in used])
        used.add(word)
        return word

    return _SLOT.sub(fill, template)


def _general(rng: random.Random) -> str:
    table = files("manifests") / "synthetic_sentences.txt"
    return rng.choice(table.read_text(encoding="utf-8").splitlines())


_PROMPTS: Mapping[Kind, Callable[[random.Random], str]] = {
    "digits": digit_string,
    "sentence": _sentence,
    "general": _general,
}
