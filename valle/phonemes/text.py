"""Normalise text for the phonemizers: one form of each punctuation mark, and whether the script fits the language."""

import re
import unicodedata
from collections import Counter

LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "ja", "ko", "zh")

_MARKS = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»「」『』〝〞＂〈〉《》", '"'),
        **dict.fromkeys("‘’‚‛`´＇ʼ", "'"),
        **dict.fromkeys("，、､", ", "),
        **dict.fromkeys("。．｡", ". "),
        **dict.fromkeys("[{（［｛【〔", "("),
        **dict.fromkeys("]}）］｝】〕", ")"),
        **dict.fromkeys("–―‒─", "—"),
        "−": "-",
        "∼": "~",
        "′": "'",
        "″": '"',
        "№": "No. ",
        "！": "! ",
        "？": "? ",
        "；": "; ",
        "：": ": ",
        "·": " ",
        "・": " ",
        "‐": "-",
        "‑": "-",
        "™": None,
        # Soft hyphens and marks of direction and joining are not read. A NUL would end the text for espeak.
        **dict.fromkeys(
            "\u00ad\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        ),
        **dict.fromkeys(map(chr, (*range(9), *range(14, 32), *range(127, 160))), " "),
    }
)
# Half of a surrogate pair has no encoding: it becomes a character that the phoneme table does not hold.
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_DOTS = re.compile(r"\.{2,}")
_DASHES = re.compile(r" -+(?= )|--+")
_LONG_DASH = re.compile(r"—{2,}")
# A full-width mark between digits belongs to the number: １２：３０ or １，２３４.
_NUMBER_MARKS = re.compile(r"(?<=\d)[．：](?=\d)|(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")
# Elsewhere it divides a list in East Asian text, and is a decimal comma in any other.
_DECIMAL_COMMA = re.compile(r"(?<=[０-９])，(?=[０-９])")
_EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_PRODUCT = re.compile(r"(?<=\d) · (?=\d)|(?<=[\w)]) ?⋅ ?(?=[\w(])")
_GROUPS = re.compile(r"(?<!\d)(?<!\d[，,.])[1-9]\d{0,2}(?:，\d{3}){1,5}(?!\d|，\d)")
# NFKC would make 11⁄2 of 1½, 12 of ①②, and 102 of 10².
_VULGAR = re.compile(r"(?<=[\d①-⓿])(?=[¼-¾⅐-⅞①-⓿])")
_RAISED = re.compile(r"[⁰¹²³⁴-⁹]{1,9}")
_SPACES = re.compile(r"\s+")
_LATIN, _HAN, _KANA, _HANGUL = "LATIN", "CJK", "KANA", "HANGUL"
_SCRIPTS = {
    "en": {_LATIN},
    "de": {_LATIN},
    "fr": {_LATIN},
    "ja": {_KANA, _HAN, _LATIN},
    "ko": {_HANGUL, _LATIN},
    "zh": {_HAN, _LATIN},
}
_NEEDED = {"ja": {_KANA, _HAN}, "ko": {_HANGUL}, "zh": {_HAN}}
_ITERATED_KANJI = "々〆〇"
_SPOKEN_SYMBOLS = "°©®"
# Letters of words: those of East Asian scripts stand beside a foreign letter without a space.
_LETTER = r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
LONE_GREEK = re.compile(
    rf"(?:(?<!{_LETTER})|(?<=\d[kM])|(?<=\d [kM]))[Α-ΡΣ-Ωα-ρσ-ω](?!(?![A-Za-z](?!{_LETTER})){_LETTER})"
)
"""A Greek letter that is a name or a sign, as in `5 μm`, `Δt` and `β-carotene`: every language has a word for it."""


def normalise(text: str) -> str:
    """Normalise to NFKC text on one line, with ASCII quotes and punctuation, `—` for dashes and `…` for dots.

    East Asian marks include their white space, so their ASCII forms get a space.
    """
    text = _PRODUCT.sub(" × ", _SURROGATES.sub("\ufffd", text))
    if not _EAST_ASIAN.search(text):
        text = _DECIMAL_COMMA.sub(",", text)
    text = _NUMBER_MARKS.sub(lambda mark: unicodedata.normalize("NFKC", mark[0]), text)
    text = _GROUPS.sub(_thousands, text)
    text = _RAISED.sub(lambda digits: f"^{unicodedata.normalize('NFKC', digits[0])}", _VULGAR.sub(" ", text))
    # Marks go first: NFKC would turn an ellipsis into three dots and a full-width bracket into an ASCII one.
    folded = unicodedata.normalize("NFKC", text.translate(_MARKS).replace("…", "..")).translate(_MARKS)
    # Spaces come before dashes: a pattern with white space on both sides of a dash is quadratic in a run of it.
    folded = _DASHES.sub(" — ", _SPACES.sub(" ", _DOTS.sub("…", folded)))
    return _SPACES.sub(" ", _LONG_DASH.sub("—", folded)).strip()


def _thousands(match: re.Match[str]) -> str:
    """Return groups of three digits as one number where they are hardly a list: 1，234 and 110，000, not 110，119."""
    first, *others = match[0].split("，")
    is_number = len(first) == 1 or any(group[0] in "0０" for group in others)
    return match[0].replace("，", ",") if is_number else match[0]


def _script(character: str) -> str | None:
    name = unicodedata.name(character, "")
    if "KATAKANA" in name or "HIRAGANA" in name:
        return _KANA
    if character in _ITERATED_KANJI:
        return _HAN
    first = name.split(" ")[0]
    return first if character.isalpha() else None


def wrong_script(text: str, language: str) -> str | None:
    """Describe what is wrong with the script of `text` for `language`; return None if it is right.

    Letters of another script are wrong, but for single Greek ones; so is Chinese, Japanese or Korean text without a
    letter of its own script.
    """
    counts = Counter(LONE_GREEK.sub("", text))
    scripts = {character: script for character in counts if (script := _script(character)) is not None}
    foreign = [character for character, script in scripts.items() if script not in _SCRIPTS[language]]
    if foreign:
        number = sum(counts[character] for character in foreign)
        return f"{number} letters that {language} is not read with, such as {''.join(foreign[:8])}"
    needed = _NEEDED.get(language)
    if needed and scripts and not needed.intersection(scripts.values()):
        return f"no {' or '.join(sorted(needed)).lower()} letter"
    return None


def pictures(text: str) -> list[str]:
    """Return the characters of normalised `text` without a reading: emoji, notes, arrows."""
    found = {c for c in set(text) if unicodedata.category(c) == "So"}.difference(_SPOKEN_SYMBOLS)
    return [c for c in text if c in found] if found else []
