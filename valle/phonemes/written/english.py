"""Verbalise written forms of English before espeak-ng reads the text."""

import re

from valle.phonemes.written.english_names import ADDRESSES, INITIALS, NAMES, ROMAN_NUMERALS
from valle.phonemes.written.english_numbers import DATES, FRACTIONS, RANGES, TELEPHONES, TIMES, YEARS
from valle.phonemes.written.english_quantities import MEASURES, MONEY
from valle.phonemes.written.rules import DOT_BEFORE_MARK, SPACED_GROUPS, Rule, rewrite
from valle.phonemes.written.signs import greek, minutes_of_arc

_DIGIT = re.compile(r"\d")
_GROUPED: tuple[Rule, ...] = (
    *minutes_of_arc(" degrees ", " minutes ", " seconds"),
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ",")),
)
_SIGNS: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?)[eE]\+?(-?\d{1,3})\b"), r"\1 times 10^\2"),
    (re.compile(r"(?<=[\dA-Za-z])\^2(?!\d)"), " squared"),
    (re.compile(r"(?<=[\dA-Za-z])\^3(?!\d)"), " cubed"),
    (re.compile(r"(?<=[\dA-Za-z])\^(?=-?\d)"), " to the power of "),
    (re.compile(r"\bv\.? ?(?=\d{1,4}\.\d)"), "version "),
    (re.compile(r"#(?=\d)"), "number "),
    (re.compile(r"(?<=\b[A-G])#"), " sharp"),
    (re.compile(r"(?<![\w)])- ?(?=\.?\d)"), "minus "),
    (re.compile(r"(?<=\d) [—-] (?=\d{1,15}(?:\.\d{1,9})? =)"), " minus "),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "point "),
    (re.compile(r"± ?"), "plus or minus "),
    (re.compile(r"(?<=\d)\+(?=[ .,;:!?]|$)"), " plus"),
    (re.compile(r" ?\+ ?(?=\w)"), " plus "),
    (re.compile(r" ?= ?"), " equals "),
    (re.compile(r" ?≈ ?| ?~ ?(?=\d)"), " about "),
    (re.compile(r" ?× ?|(?<=\d) ?\* ?(?=\d)"), " times "),
    (re.compile(r"(?<=\d) x (?=\d{1,15}(?:\.\d{1,9})? equals)"), " times "),
    (re.compile(r"(?<=\d)[xX](?=\d)|(?<=[\da-z]) x (?=\d)"), " by "),
    (re.compile(r"(?<=\d)[xX](?!\w)"), " times"),
    (re.compile(r" ?÷ ?"), " divided by "),
    (re.compile(r"(?<=\d) ?< ?(?=\d)|< ?(?=\d)"), " less than "),
    (re.compile(r"(?<=\d) ?> ?(?=\d)|> ?(?=\d)"), " more than "),
    (re.compile(r" ?≤ ?"), " at most "),
    (re.compile(r" ?≥ ?"), " at least "),
    (re.compile(r"§+ ?"), "section "),
    (re.compile(r"¶+ ?"), "paragraph "),
    (re.compile(r"√ ?(?=\w)"), "square root of "),
    (re.compile(r" ?∞ ?"), " infinity "),
    (re.compile(r" ?≠ ?"), " is not "),
    (re.compile(r"(?<=\d) ?°(?! ?[CF]\b)"), " degrees"),
    (re.compile(r"(?<=[A-Za-z])&(?=[A-Za-z])|(?<= )&(?= )"), " and "),
    (re.compile(r"(?<=\d) / (?=\d{1,9} equals)"), " divided by "),
    (re.compile(r"(?<=[A-Za-z\d])(?:/| / )(?=[A-Za-z\d])"), " "),
    (re.compile(r"[*_|\\]+"), " "),
    greek(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega"
    ),
    DOT_BEFORE_MARK,
)
_LETTERS_WITH_AND = re.compile(r"\b([A-Z]{1,2})&([A-Z]{1,2})\b")
_SPACES = re.compile(r" {2,}")


def verbalise(text: str) -> str:
    """Return `text` with written forms in words; numbers that espeak-ng reads rightly stay as they are."""
    text = rewrite(text, ADDRESSES)
    if _DIGIT.search(text):
        text = rewrite(text, (*_GROUPED, *TELEPHONES))
    text = rewrite(text, NAMES)
    text = rewrite(text, (*ROMAN_NUMERALS, *INITIALS))
    if _DIGIT.search(text):
        text = rewrite(text, (*DATES, *TIMES, *FRACTIONS, *MONEY, *RANGES, *MEASURES, *YEARS))
    text = _LETTERS_WITH_AND.sub(lambda m: f"{' '.join(m[1])} and {' '.join(m[2])}", text)
    return _SPACES.sub(" ", rewrite(text, _SIGNS)).strip()
