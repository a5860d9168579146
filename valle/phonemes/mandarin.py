"""Phonemize Mandarin: pypinyin reads the characters, a table maps pinyin to IPA, the tone is a digit.

espeak-ng's IPA writes tones 1 and 4 alike (both as 5) and spells some words out ("na three five"). Neutral tone is 5.
Latin words are read as English, by espeak-ng.
"""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from typing import Any, cast

from valle.phonemes.symbols import PUNCTUATION, SPACE, split_symbols
from valle.phonemes.tone_sandhi import apply_tone_sandhi
from valle.phonemes.written.mandarin import verbalise
from warehouse.errors import DependencyError
from warehouse.packages import version

_COMMAND = "pip install pypinyin"

# fmt: off
_INITIALS = {
    "": "", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ",
    "h": "x", "j": "tɕ", "q": "tɕʰ", "x": "ɕ", "zh": "ʈʂ", "ch": "ʈʂʰ", "sh": "ʂ", "r": "ʐ", "z": "ts", "c": "tsʰ",
    "s": "s",
}
_FINALS = {
    "a": "a", "o": "o", "e": "ɤ", "ê": "ɛ", "er": "ɚ", "ai": "ai", "ei": "ei", "ao": "au", "ou": "ou", "an": "an",
    "en": "ən", "ang": "ɑŋ", "eng": "əŋ", "ong": "ʊŋ", "i": "i", "ia": "ia", "ie": "iɛ", "iao": "iau", "iou": "iou",
    "ian": "iɛn", "in": "in", "iang": "iɑŋ", "ing": "iŋ", "iong": "iʊŋ", "io": "io", "u": "u", "ua": "ua", "uo": "uo",
    "uai": "uai", "uei": "uei", "uan": "uan", "uen": "uən", "uang": "uɑŋ", "ueng": "uəŋ", "v": "y", "ve": "yɛ",
    "van": "yɛn", "vn": "yn",
}
# fmt: on
_APICAL = {**dict.fromkeys(("zh", "ch", "sh", "r"), "ɻ̩"), **dict.fromkeys(("z", "c", "s"), "ɹ̩")}
_HUMMED = {"n": "n̩", "m": "m̩", "ng": "ŋ̩", "hm": "xm̩", "hng": "xŋ̩"}
_HAN = "㐀-䶿一-鿿豈-﫿𠀀-𲎯〇"
_RUNS = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<latin>[^\W\d_{_HAN}]+(?:(?:['’.-] ?| )[^\W\d_{_HAN}]+)*)|(?P<other>\S)")
_SYLLABLE = re.compile(r"[a-zê]+[1-5]")
_SILENT_CHARACTERS = "'-"

PhonemizeLatin = Callable[[str], list[str]]


def mandarin_revision() -> str:
    """Return name and version of pypinyin; raise DependencyError when it is not installed."""
    try:
        return f"pypinyin@{version('pypinyin')}"
    except PackageNotFoundError as error:
        raise DependencyError(f"The reader of Mandarin is not installed: run `{_COMMAND}`.") from error


class MandarinPhonemizer:
    """Mandarin frontend; pypinyin is opened on first use, and `phonemize_latin` phonemizes Latin words."""

    def __init__(self, phonemize_latin: PhonemizeLatin) -> None:
        self._phonemize_latin = phonemize_latin
        self._read: Any = None

    def phonemize(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the symbols of each normalised text; runs of characters have no spaces.

        Raise DependencyError when pypinyin is missing.
        """
        if self._read is None:
            self._read = _open_reader()
        return [self._symbols(verbalise(text)) for text in texts]

    def _symbols(self, text: str) -> list[str]:
        symbols: list[str] = []
        end = 0
        for run in _RUNS.finditer(text):
            spoken = self._spoken(run)
            # Latin words stand apart, marks as they were written.
            is_apart = run.start() > end or (symbols and symbols[-1] not in PUNCTUATION and _turns(run, text))
            if symbols and spoken and is_apart:
                symbols.append(SPACE)
            symbols += spoken
            end = run.end()
        return symbols

    def _spoken(self, run: re.Match[str]) -> list[str]:
        if run["han"]:
            return [symbol for syllable in self._read(run["han"]) for symbol in _ipa(syllable)]
        if run["latin"]:
            return self._phonemize_latin(run["latin"])
        return [] if run["other"] in _SILENT_CHARACTERS else [run["other"]]


def _turns(run: re.Match[str], text: str) -> bool:
    """Return True where a run begins between Chinese characters and Latin letters."""
    return bool(run["latin"] or run["han"]) and run.start() > 0 and text[run.start() - 1].isalpha()


def _open_reader() -> Callable[[str], list[str]]:
    try:
        from pypinyin import Style, lazy_pinyin
        from pypinyin.seg.mmseg import seg
    except ImportError as error:
        raise DependencyError(f"The reader of Mandarin is not installed: run `{_COMMAND}`.") from error

    def read(characters: str) -> list[str]:
        syllables: list[str] = lazy_pinyin(
            characters, style=Style.TONE3, neutral_tone_with_five=True, errors=cast(Any, list)
        )
        return apply_tone_sandhi(characters, syllables, list(seg.cut(characters)))

    return read


def _ipa(syllable: str) -> list[str]:
    """Return the symbols of a syllable such as `zhong4`; a character without a reading (`𠮷5`) is kept."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    if not _SYLLABLE.fullmatch(syllable):
        return [syllable[0]]
    sound, tone = syllable[:-1], syllable[-1]
    if sound in _HUMMED:
        return [*split_symbols(_HUMMED[sound]), tone]
    initial = to_initials(syllable, strict=True)
    final = to_finals(syllable, strict=True, v_to_u=False)
    if final == "i" and initial in _APICAL:
        return [*split_symbols(_INITIALS[initial] + _APICAL[initial]), tone]
    return [*split_symbols(_INITIALS[initial] + _FINALS[final]), tone]
