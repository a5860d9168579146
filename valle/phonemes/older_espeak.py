"""Restore the phonemes of espeak-ng 1.51 from those of 1.52: imported weights were trained with the older one.

Mandarin: 1.51 read one character after the other, and 1.52 reads words, with other tones and stress; besides, 70 of
1,063 syllables have another spelling (`older_mandarin.tsv`, from all 20,902 characters of the first block of Unicode,
of which 11 that share a syllable with others, such as the one for `sing`, stay as in 1.52).
English: 1.52 writes the vowels of `four` and `for` alike, and its own letters still tell them apart.
German: one vowel has another letter.
"""

import ctypes
import re
from functools import cache as memoized
from pathlib import Path

_SYLLABLES = Path(__file__).with_name("older_mandarin.tsv")
_BETWEEN_CHARACTERS = re.compile(r"(?<=[㐀-鿿])(?=[㐀-鿿])")
# A pause, which leaves nothing in the phonemes: between spaces, 1.52 still finds words.
_PAUSE = "，"
# Digits of tones, as the weights have them.
_TONES = str.maketrans({"1": "ˇ", "2": "ˉ", "5": "_"})
_GERMAN = str.maketrans({"ʏ": "y"})
# Vowels before r in the letters of espeak-ng: of `four`, of `for`, and of `foreign`.
_BEFORE_R = re.compile(r"o@|O@|O:(?=[^a-zA-Z@]*r)")
_MERGED, _OLDER_FOUR, _FOUR = "ɔːɹ", "oːɹ", "o@"
_RETRIEVAL, _UTF8, _OWN_LETTERS = 2, 1, 0


def prepare(text: str, language: str) -> str:
    """Return the text to give to espeak-ng 1.52 so that it reads as 1.51."""
    return _BETWEEN_CHARACTERS.sub(_PAUSE, text) if language == "zh" else text


def restore_mandarin(line: str) -> str:
    """Return phonemes of prepared Mandarin as 1.51 wrote them, its tones as the weights have them."""
    pattern, syllables = _older_syllables()
    return pattern.sub(lambda found: syllables[found[0]], line).translate(_TONES)


def restore_german(line: str) -> str:
    """Return phonemes of German as 1.51 wrote them."""
    return line.translate(_GERMAN)


def restore_english(line: str, letters: str) -> str:
    """Return phonemes of English as 1.51 wrote them, given the same text in the letters of espeak-ng.

    A line whose vowels cannot be paired with those letters stays as it is.
    """
    vowels = _BEFORE_R.findall(letters)
    if len(vowels) != line.count(_MERGED):
        return line
    rest = iter(vowels)
    return re.sub(_MERGED, lambda found: _OLDER_FOUR if next(rest) == _FOUR else found[0], line)


@memoized
def _older_syllables() -> tuple[re.Pattern[str], dict[str, str]]:
    lines = _SYLLABLES.read_text(encoding="utf-8").splitlines()
    syllables: dict[str, str] = dict(line.split("\t") for line in lines)
    longest_first = sorted(syllables, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})"), syllables


class EspeakLetters:
    """American English in the letters of espeak-ng, which `phonemizer` has no option for."""

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.espeak_Initialize(_RETRIEVAL, 0, str(Path(data).parent).encode(), 0)
        self._library.espeak_SetVoiceByName(b"en-us")
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def of(self, text: str) -> str:
        """Return the letters of a text, with the marks of stress."""
        buffer = ctypes.create_string_buffer(text.encode())
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        while rest.value:
            letters = self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _OWN_LETTERS)
            clauses.append(letters.decode())
        return " ".join(clauses)
