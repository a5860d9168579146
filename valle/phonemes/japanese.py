"""Phonemize Japanese with haqumei, an Open JTalk frontend whose wheel contains its dictionary.

espeak-ng names kanji instead of reading them. haqumei reads kanji, numbers with their counters, Latin words and
particles (は, へ, を as wa, e, o); its phonemes become IPA by the table below. A character it cannot read is returned
as it is, so that the phoneme table reports it as unknown.
"""

import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from typing import Any

from valle.phonemes.symbols import PUNCTUATION, SPACE, split_symbols
from valle.phonemes.text import normalise
from valle.phonemes.written.japanese import verbalise
from warehouse.errors import DependencyError
from warehouse.packages import version

_COMMAND = "pip install haqumei"
# The part of speech of marks.
_MARK = "記号"
_DIGITS = re.compile(r"(\d+)")
_HIRAGANA = {katakana: katakana - 0x60 for katakana in range(ord("ァ"), ord("ヶ") + 1)}

_VOWELS = {"a": "ä", "i": "i", "u": "ɯᵝ", "e": "e̞", "o": "o̞"}
_DEVOICED = {"A": "ḁ", "I": "i̥", "U": "ɯ̥", "E": "e̥", "O": "o̥"}
# fmt: off
_CONSONANTS = {
    "k": "k", "ky": "kʲ", "kw": "kʷ", "g": "ɡ", "gy": "ɡʲ", "gw": "ɡʷ", "s": "s", "sh": "ɕ", "z": "z", "j": "dʑ",
    "t": "t", "ty": "tʲ", "ts": "ts", "ch": "tɕ", "d": "d", "dy": "dʲ", "n": "n", "ny": "nʲ", "h": "h", "hy": "ç",
    "f": "ɸ", "fy": "ɸj", "b": "b", "by": "bʲ", "p": "p", "py": "pʲ", "m": "m", "my": "mʲ", "y": "j", "r": "ɽ",
    "ry": "ɽʲ", "w": "w", "v": "v",
}
# fmt: on
_SOUNDS = _VOWELS | _DEVOICED | _CONSONANTS
# The moraic nasal takes the place of the consonant after it; the moraic obstruent doubles that consonant.
_NASALS = {**dict.fromkeys("mpb", "m"), **dict.fromkeys("ntdzɽ", "n"), **dict.fromkeys("kɡ", "ŋ")}
_NASAL, _NASAL_ALONE = "N", "ɴ"
_OBSTRUENT, _OBSTRUENT_ALONE = "cl", "ʔ"
_SILENT_PHONEMES = ("pau", "sp", "unk")
# Hyphens (haqumei widens them), an apostrophe, and voicing marks that stand alone.
_SILENT_CHARACTERS = "'’-−゙゚"

# The dictionary knows the Japanese marks best.
_MARKS = re.compile(r"([,.])(?: |$)")
_JAPANESE_MARKS = {",": "、", ".": "。"}


def japanese_revision() -> str:
    """Return name and version of haqumei with its dictionary; raise DependencyError when it is not installed."""
    try:
        return f"haqumei@{version('haqumei')}"
    except PackageNotFoundError as error:
        raise DependencyError(f"The reader of Japanese is not installed: run `{_COMMAND}`.") from error


class KanaReader:
    """The reading of Japanese in hiragana; haqumei is opened on first use."""

    def __init__(self) -> None:
        self._reader: Any = None

    def read(self, text: str) -> str:
        """Return the reading of a text; marks stay as they are, and katakana becomes hiragana.

        Raise DependencyError when haqumei is missing.
        """
        if self._reader is None:
            self._reader = _open_reader()
        # espeak-ng reads the digits itself.
        pieces = _DIGITS.split(text)
        pieces[::2] = [self._reading(piece) if piece else "" for piece in pieces[::2]]
        return "".join(pieces)

    def _reading(self, text: str) -> str:
        words = self._reader.run_frontend(text)
        return "".join(word.string if word.pos == _MARK else word.read for word in words).translate(_HIRAGANA)


class JapanesePhonemizer:
    """Japanese frontend; haqumei is opened on first use (0.6 s, 150 MB)."""

    def __init__(self) -> None:
        self._reader: Any = None

    def phonemize(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the symbols of each normalised text, with a space between accent phrases.

        Raise DependencyError when haqumei is missing.
        """
        if self._reader is None:
            self._reader = _open_reader()
        return [self._symbols(text) for text in texts]

    def _symbols(self, text: str) -> list[str]:
        pieces: list[list[str]] = [[]]  # phonemes of accent phrases, and characters without a sound one by one
        for word in self._reader.g2p_mapping_detailed(_prepared(text)):
            phonemes = [phoneme for phoneme in word.phonemes if phoneme not in _SILENT_PHONEMES]
            if phonemes and word.chain_flag == 1:
                pieces[-1] += phonemes
            elif phonemes:
                pieces.append(phonemes)
            unread = _skipped(word.word) if phonemes else _unread(word.word)
            if unread:
                pieces += [*([character] for character in unread), []]
        return _joined([piece for piece in pieces if piece])


def _open_reader() -> Any:
    try:
        from haqumei import Haqumei
    except ImportError as error:
        raise DependencyError(f"The reader of Japanese is not installed: run `{_COMMAND}`.") from error
    # A reading put together from readings of single characters is a guess; what the dictionary lacks stays unknown.
    return Haqumei(read_unknown_kanji=False)


def _prepared(text: str) -> str:
    text = verbalise(_without_accents(text))
    return _MARKS.sub(lambda mark: _JAPANESE_MARKS[mark[1]], text)


def _unread(word: str) -> list[str]:
    """Return the characters of a word that have no reading: marks, and characters unknown to haqumei."""
    spoken = "".join(character for character in word if character not in _SILENT_CHARACTERS)
    return [character for character in normalise(spoken) if not character.isspace()]


def _skipped(word: str) -> list[str]:
    """Return the letters that haqumei omits from a Latin word without a warning."""
    return [c for c in unicodedata.normalize("NFKC", word) if not c.isascii() and "LATIN" in unicodedata.name(c, "")]


def _without_accents(text: str) -> str:
    letters = (unicodedata.normalize("NFD", c)[0] if "LATIN" in unicodedata.name(c, "") else c for c in text)
    return "".join(letters)


def _joined(pieces: Sequence[Sequence[str]]) -> list[str]:
    """Join the symbols of phrases and marks, with spaces where Western typography has them."""
    symbols: list[str] = []
    is_inside_quotes = is_open = False
    for piece in pieces:
        is_mark = piece[0] in PUNCTUATION
        opens = piece[0] == "(" or (piece[0] == '"' and not is_inside_quotes)
        if symbols and not is_open and (opens or not is_mark):
            symbols.append(SPACE)
        symbols += piece if is_mark else _ipa(piece)
        is_inside_quotes ^= piece[0] == '"'
        is_open = opens
    return symbols


def _ipa(phonemes: Sequence[str]) -> list[str]:
    symbols: list[str] = []
    for phoneme, following in zip(phonemes, [*phonemes, ""][1:], strict=True):
        after = _SOUNDS.get(following, "")
        if phoneme == _NASAL:
            symbols.append(_NASALS.get(after[:1], _NASAL_ALONE))
        elif phoneme == _OBSTRUENT:
            symbols.append(split_symbols(after)[0] if following in _CONSONANTS else _OBSTRUENT_ALONE)
        elif phoneme == "h" and following in ("i", "I"):
            symbols.append("ç")
        else:
            symbols += split_symbols(_SOUNDS.get(phoneme, phoneme))
    return symbols
