"""Text made ready for espeak: one spelling of each punctuation mark, and a check that the script fits the language.

Numbers stay digits: espeak reads them aloud in the language's own way.
"""

import re
import unicodedata

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
        "\u00ad": None,
        "\ufeff": None,
        "\u200b": None,
    }
)
_DOTS = re.compile(r"\.{2,}")
_DASHES = re.compile(r" -+ |--+")
_LONG_DASH = re.compile(r"—{2,}")
# A full-width mark between digits belongs to the number: １，２３４ or １２：３０.
_NUMBER_MARKS = re.compile(r"(?<=\d)[，．：](?=\d)")
# NFKC would make 11⁄2 of 1½, and 102 of 10².
_VULGAR = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞])")
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
_SAID_SYMBOLS = "°©®"


def normalise(text: str) -> str:
    """NFKC text on one line with ASCII quotes and punctuation, `—` for any dash, `…` for dots in a row.

    East Asian marks carry their own white space; their ASCII forms get a space.
    """
    text = _NUMBER_MARKS.sub(lambda mark: unicodedata.normalize("NFKC", mark[0]), text)
    text = _RAISED.sub(lambda digits: f"^{unicodedata.normalize('NFKC', digits[0])}", _VULGAR.sub(" ", text))
    # Marks go first: NFKC would turn an ellipsis into three dots and a full-width bracket into an ASCII one.
    folded = unicodedata.normalize("NFKC", text.translate(_MARKS).replace("…", "..")).translate(_MARKS)
    # Spaces come before dashes: a pattern with white space on both sides of a dash is quadratic in a run of it.
    folded = _DASHES.sub(" — ", _SPACES.sub(" ", _DOTS.sub("…", folded)))
    return _SPACES.sub(" ", _LONG_DASH.sub("—", folded)).strip()


def _script(character: str) -> str | None:
    name = unicodedata.name(character, "")
    if "KATAKANA" in name or "HIRAGANA" in name:
        return _KANA
    if character in _ITERATED_KANJI:
        return _HAN
    first = name.split(" ")[0]
    return first if character.isalpha() else None


def wrong_script(text: str, language: str) -> str | None:
    """What is wrong with the script of `text` for `language`, or None.

    Letters of another script are wrong; so is Chinese, Japanese or Korean text without a letter of its own script.
    """
    scripts = [(character, _script(character)) for character in text]
    foreign = [character for character, script in scripts if script and script not in _SCRIPTS[language]]
    if foreign:
        return f"{len(foreign)} letters that {language} is not read with, such as {''.join(dict.fromkeys(foreign))[:8]}"
    needed = _NEEDED.get(language)
    if needed and not any(script in needed for _, script in scripts) and any(script for _, script in scripts):
        return f"no {' or '.join(sorted(needed)).lower()} letter"
    return None


def pictures(text: str) -> list[str]:
    """Return the characters of `text` without a reading: emoji, notes, arrows, which espeak would name or skip.

    A symbol that is short for letters (℃, ㎏) has a reading.
    """
    return [c for c in text if unicodedata.category(c) == "So" and _is_picture(c)]


def _is_picture(symbol: str) -> bool:
    return symbol not in _SAID_SYMBOLS and not any(c.isalnum() for c in unicodedata.normalize("NFKC", symbol))
