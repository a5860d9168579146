"""Verbalise written numbers: "1999" becomes "nineteen ninety nine", "$5" becomes "five dollars".

The classes are those of NeMo's English text normalisation that read speech holds: cardinals, ordinals, years, decimals,
fractions of a half, percent, and dollars, pounds and euros. Dates, times, measures and telephone numbers are read as
the plain numbers they contain. A number of four digits without a comma is a year from 1100 to 1999 and from 2010 on.
"""

import re

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_PLURALS = {"penny": "pence"}

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_MONEY = re.compile(rf"([$£€])\s?({_NUMBER})(?:\.(\d\d))?(?:\s(million|billion|trillion))?(?![\d])")
_ORDINAL = re.compile(rf"\b({_NUMBER})(?:st|nd|rd|th)\b", re.IGNORECASE)
_DECADE = re.compile(r"\b(\d{1,3}0)'?s\b")
_DECIMAL = re.compile(rf"(?<!\d)({_NUMBER})\.(\d+)")
_PLAIN = re.compile(_NUMBER)


def cardinal(value: int) -> str:
    """Return a whole number from 0 on in words, without "and": 105 is "one hundred five"."""
    if value < 20:
        return _SMALL[value]
    if value < 100:
        tens, unit = divmod(value, 10)
        return f"{_TENS[tens]} {_SMALL[unit]}" if unit else _TENS[tens]
    size, name = next(scale for scale in _SCALES if scale[0] <= value)
    count, rest = divmod(value, size)
    return f"{cardinal(count)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(value: int) -> str:
    """Return an ordinal number in words: 21 is "twenty first"."""
    *front, last = cardinal(value).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last.removesuffix("y") + "ieth" if last.endswith("y") else last + "th"
    return " ".join((*front, last))


def plural(number: str) -> str:
    """Return the plural of a number in words: `nineteen eighties`, `fives`, `hundreds`."""
    if number.endswith("six"):
        return number + "es"
    return number.removesuffix("y") + "ies" if number.endswith("y") else number + "s"


def year(value: int) -> str:
    """Return a year of four digits in words: 1905 is "nineteen oh five", 2007 "two thousand seven"."""
    century, rest = divmod(value, 100)
    if value % 1000 < 10 or century < 10:
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def _whole(text: str) -> int:
    return int(text.replace(",", ""))


def _digits(text: str) -> str:
    return " ".join(_SMALL[int(digit)] for digit in text)


def _money(match: re.Match[str]) -> str:
    sign, whole, part, scale = match.groups()
    unit, small = _CURRENCIES[sign]
    value = _whole(whole)
    if scale:
        return f" {cardinal(value)}{f' point {_digits(part)}' if part else ''} {scale} {unit}s "
    words = f"{cardinal(value)} {unit if value == 1 else unit + 's'}"
    if part and int(part):
        cents = small if int(part) == 1 else _PLURALS.get(small, small + "s")
        words += f" {cardinal(int(part))} {cents}"
    return f" {words} "


def _plain(match: re.Match[str]) -> str:
    text = match.group()
    if "," not in text and (len(text) > 15 or (len(text) > 1 and text.startswith("0"))):
        return f" {_digits(text)} "  # a telephone number or a code
    value = _whole(text)
    if len(text) == 4 and value >= 1100:
        return f" {year(value)} "
    return f" {cardinal(value)} " if value < 10**15 else f" {_digits(text.replace(',', ''))} "


def _decade(match: re.Match[str]) -> str:
    value = int(match.group(1))
    return plural(year(value) if value >= 1100 else cardinal(value))


def verbalise_numbers(text: str) -> str:
    """Replace every written number of a text by words; surplus spaces may remain around them."""
    text = _MONEY.sub(_money, text)
    text = _ORDINAL.sub(lambda match: ordinal(_whole(match.group(1))), text)
    text = _DECADE.sub(_decade, text)
    text = text.replace("½", " half ").replace("%", " percent ")
    text = _DECIMAL.sub(lambda match: f" {cardinal(_whole(match.group(1)))} point {_digits(match.group(2))} ", text)
    return _PLAIN.sub(_plain, text)
