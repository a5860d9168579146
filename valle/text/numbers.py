"""Convert numbers in English text, in words or digits, to one form: their digits as words.

ASR writes "472" or "4 7 2" for what a reference spells "four seven two" or "four hundred seventy two", and "1999" for
"nineteen ninety nine". Parsing every number and spelling its digits makes them all equal: `four seven two`,
`one nine nine nine`. Two numbers that follow one another are joined, as in speech.

Limits: ordinals stay words beyond their tens ("21st" and "twenty first" are equal, "105th" and "one hundred fifth"
are not), and a decimal point or a currency that is written in one text and spoken in the other counts as an error.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINAL_UNITS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_ORDINAL_TEENS = (
    "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth",
)  # fmt: skip
_ORDINAL_TENS = (
    "twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth",
)  # fmt: skip

_VALUES = (
    {word: value for value, word in enumerate(_UNITS)}
    | {word: 10 + i for i, word in enumerate(_TEENS)}
    | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
)
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ORDINAL = re.compile(r"\b([1-9]\d?)(?:st|nd|rd|th)\b")
_DIGITS_OR_LETTERS = re.compile(r"\d+|[^\d\s]+")


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in a list of words: its digits, and the index of the word after it."""

    digits: str
    end: int


def _ordinal_words(value: int) -> str:
    if value < 10:
        return _ORDINAL_UNITS[value]
    if value < 20:
        return _ORDINAL_TEENS[value - 10]
    tens, unit = divmod(value, 10)
    return f"{_TENS[tens - 2]} {_ORDINAL_UNITS[unit]}" if unit else _ORDINAL_TENS[tens - 2]


def _read_below_hundred(words: Sequence[str], start: int) -> _Number | None:
    """Parse digits as written, with leading zeros, or a spoken number below one hundred."""
    word = words[start] if start < len(words) else ""
    if word.isdecimal():
        return _Number(word, start + 1)
    if word not in _VALUES:
        return None
    value, end = _VALUES[word], start + 1
    if value >= 20 and end < len(words) and 0 < _VALUES.get(words[end], 0) < 10:
        return _Number(str(value + _VALUES[words[end]]), end + 1)
    return _Number(str(value), end)


def _skip_and(words: Sequence[str], start: int) -> int:
    """Return the index after an `and` that a spoken number follows ("two hundred and five"), else `start`."""
    is_joined = words[start : start + 1] == ["and"] and start + 1 < len(words) and words[start + 1] in _VALUES
    return start + 1 if is_joined else start


def _read_group(words: Sequence[str], start: int) -> _Number | None:
    """Parse a number below one thousand, or `nineteen hundred`."""
    is_article = words[start : start + 1] == ["a"] and start + 1 < len(words)
    if is_article and words[start + 1] in ("hundred", *_SCALES):
        first: _Number | None = _Number("1", start + 1)
    else:
        first = _read_below_hundred(words, start)
    if first is None or words[first.end : first.end + 1] != ["hundred"]:
        return first
    value, end = int(first.digits) * 100, first.end + 1
    rest = _read_below_hundred(words, _skip_and(words, end))
    if rest is not None and not words[rest.end - 1].isdecimal():
        value, end = value + int(rest.digits), rest.end
    return _Number(str(value), end)


def _read_number(words: Sequence[str], start: int) -> _Number | None:
    """Parse the longest number that begins at `start`; None without one."""
    group = _read_group(words, start)
    if group is None or group.end >= len(words) or words[group.end] not in _SCALES:
        return group
    # Scales decrease within a number: the million of "three thousand two million" does not belong to it.
    total, current, smallest = 0, group, 10**12
    while current.end < len(words) and _SCALES.get(words[current.end], smallest) < smallest:
        smallest = _SCALES[words[current.end]]
        total, end = total + int(current.digits) * smallest, current.end + 1
        after = _read_group(words, _skip_and(words, end))
        if after is None or words[after.end - 1].isdecimal():
            return _Number(str(total), end)
        current = after
    return _Number(str(total + int(current.digits)), current.end)


def spell_numbers(text: str) -> str:
    """Lower-case text without punctuation, with every number replaced by the words of its digits.

    "in 1999", "in nineteen ninety nine" and "in 19 99" all become "in one nine nine nine".
    """
    text = _ORDINAL.sub(lambda match: _ordinal_words(int(match.group(1))), text)
    words = _DIGITS_OR_LETTERS.findall(text)
    spelled: list[str] = []
    position, follows_number = 0, False
    while position < len(words):
        number = _read_number(words, position)
        if number is not None:
            spelled.extend(_UNITS[int(digit)] for digit in number.digits)
            position, follows_number = number.end, True
            continue
        is_zero = words[position] == "oh" and follows_number and _read_number(words, position + 1) is not None
        spelled.append("zero" if is_zero else words[position])
        position, follows_number = position + 1, is_zero
    return " ".join(spelled)
