"""English money and measures in words: `$1.5 million`, `£3.50`, `80 km/h`, `72°F`.

Whole and decimal numbers stay in digits, which espeak-ng reads.
"""

import re

from valle.phonemes.written.english_numbers import NUMBER, START
from valle.phonemes.written.rules import Rule, any_of

# fmt: off
_CURRENCIES = {
    "$": ("dollar", "dollars"), "£": ("pound", "pounds"), "₤": ("pound", "pounds"), "€": ("euro", "euros"),
    "¥": ("yen", "yen"), "₹": ("rupee", "rupees"), "₩": ("won", "won"), "₽": ("ruble", "rubles"),
    "₺": ("lira", "lira"), "₱": ("peso", "pesos"), "₪": ("shekel", "shekels"), "฿": ("baht", "baht"),
}
_COUNTRIES = {"US": "U S ", "C": "Canadian ", "CA": "Canadian ", "A": "Australian ", "AU": "Australian ",
              "NZ": "New Zealand ", "HK": "Hong Kong ", "S": "Singapore "}
_SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mln": "million",
    "b": "billion", "B": "billion", "bn": "billion", "tn": "trillion", "T": "trillion",
}
_SCALE_WORDS = ("hundred", "thousand", "million", "billion", "trillion")
_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "μm": "micrometer",
    "mi": "mile", "ft": "foot", "yd": "yard", "yds": "yard", "ha": "hectare",
    "kms": "kilometer", "KM": "kilometer", "kg": "kilogram",
    "kgs": "kilogram", "Kg": "kilogram", "KG": "kilogram",
    "g": "gram", "mg": "milligram", "μg": "microgram", "mcg": "microgram", "lb": "pound",
    "lbs": "pound", "oz": "ounce", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter",
    "cl": "centiliter", "h": "hour", "hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute", "sec": "second",
    "secs": "second", "ms": "millisecond", "ns": "nanosecond", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "V": "volt",
    "kV": "kilovolt", "kWh": "kilowatt hour", "MWh": "megawatt hour", "mAh": "milliamp hour", "J": "joule",
    "kJ": "kilojoule", "cal": "calorie", "kcal": "kilocalorie", "Pa": "pascal", "kPa": "kilopascal",
    "hPa": "hectopascal", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "PB": "petabyte", "dB": "decibel", "Ω": "ohm", "kbps": "kilobit per second", "Mbps": "megabit per second",
    "Gbps": "gigabit per second", "mph": "mile per hour", "kph": "kilometer per hour", "kmh": "kilometer per hour",
    "rpm": "revolution per minute", "fps": "frame per second", "ppm": "part per million", "dpi": "dot per inch",
    "mpg": "mile per gallon", "bpm": "beat per minute",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "° C": "degree Celsius", "° F": "degree Fahrenheit",
    "sq ft": "square foot", "sq. ft.": "square foot", "sq km": "square kilometer", "sq mi": "square mile",
    "cu ft": "cubic foot",
}
_PER = {"h": "hour", "hr": "hour", "hour": "hour", "s": "second", "sec": "second", "second": "second",
        "min": "minute", "minute": "minute", "d": "day", "day": "day", "week": "week", "month": "month", "mo": "month",
        "yr": "year", "year": "year", "kg": "kilogram", "g": "gram", "l": "liter", "L": "liter", "ml": "milliliter",
        "m": "meter", "km": "kilometer", "gal": "gallon", "person": "person", "night": "night"}
_PER_WORDS = {short: f"per {word}" for short, word in _PER.items()}
_SAME_PLURAL = ("hertz", "kilohertz", "megahertz", "gigahertz")
# fmt: on
_PART = r"[a-z]{3,9} (?:half|quarters?|thirds?|fifths?|eighths?)"
_AN = r"(?:\b(?P<article>[Aa]n?) )?"


def _is_one(number: str) -> bool:
    return number in ("1", "1.0")


def _plural(unit: str) -> str:
    first, separator, rest = unit.partition(" ")
    if first in ("square", "cubic", "kilowatt", "megawatt", "milliamp"):
        return f"{first} {_plural(rest)}"
    if first in _SAME_PLURAL:
        return unit
    return ("feet" if first == "foot" else first + "s") + separator + rest


def _money(match: re.Match[str]) -> str:
    found = match.groupdict()
    one, many = _CURRENCIES[match["sign"]]
    country = _COUNTRIES.get(found.get("country") or "", "")
    number, to, scale, article = match["number"], found.get("to"), found.get("scale"), match["article"]
    is_adjective = bool(article) and re.match(r"[ -][a-z]", match.string[match.end() : match.end() + 2]) is not None
    whole, _, part = number.partition(".")
    if not (to or scale) and len(part) == 2:
        words = _with_cents(whole, int(part), match["sign"], country)
    else:
        amount = " ".join(filter(None, (f"{number} to {to}" if to else number, _SCALES.get(scale or "", scale))))
        words = f"{amount} {country}{one if is_adjective or _is_one(amount) else many}"
    return " ".join(filter(None, (article, words, _PER_WORDS.get(found.get("per") or ""))))


def _with_cents(whole: str, part: int, sign: str, country: str) -> str:
    """Return money with two decimals: `5 dollars and 50 cents`, `3 pounds 50`."""
    one, many = _CURRENCIES[sign]
    large = f"{whole} {country}{one if _is_one(whole) else many}"
    small = f"{part} {_small(sign, part)}"
    if part == 0:
        return large
    if whole == "0":
        return small
    return f"{large} and {small}" if sign == "$" else f"{large} {part}"


def _small(sign: str, count: int) -> str:
    if sign in "£₤":
        return "penny" if count == 1 else "pence"
    return "cent" if count == 1 else "cents"


def _measure(match: re.Match[str]) -> str:
    number, unit = match["number"], _UNITS[match["unit"]]
    if match["power"]:
        unit = f"{'square' if match['power'] == '2' else 'cubic'} {unit}"
    is_single = _is_one(number) or number.startswith("one ") or match["gap"] == "-" or bool(match["article"])
    article = f"{match['article']} " if match["article"] else ""
    per = f" {_PER_WORDS[match['per']]}" if match["per"] else ""
    per += " squared" if match["squared"] else ""
    return f"{article}{number} {unit if is_single else _plural(unit)}{per}"


MONEY: tuple[Rule, ...] = (
    (
        re.compile(
            rf"{_AN}(?:\b(?P<country>{any_of(_COUNTRIES)}))?(?P<sign>[{''.join(_CURRENCIES)}]) ?(?P<number>{NUMBER})"
            rf"(?: ?[-—] ?(?P=sign)?(?P<to>{NUMBER}))?(?:[ -]?(?P<scale>{any_of((*_SCALES, *_SCALE_WORDS))})\b)?"
            rf"(?:/(?P<per>{any_of(_PER)})\b)?(?: (?:dollars|pounds|euros|yen)\b)?"
        ),
        _money,
    ),
    (
        re.compile(rf"{_AN}{START}(?P<number>{NUMBER}) ?(?P<sign>[{''.join(_CURRENCIES)}])(?!\w)"),
        _money,
    ),
    (
        re.compile(rf"{START}(?P<number>{NUMBER}) ?¢"),
        lambda m: f"{m['number']} cent{'' if _is_one(m['number']) else 's'}",
    ),
)
MEASURES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w.,])(\d{1,2})' ?(\d{1,2})\""), r"\1 foot \2"),
    (re.compile(r"(?<=\d) ?(?:ft|feet)\.? (\d{1,2}) ?in\b"), r" feet \1 inches"),
    (re.compile(r"(?<=\d)in\b"), " inches"),
    (
        re.compile(
            rf"{_AN}{START}(?P<number>{NUMBER}|{_PART})(?P<gap>[ -]?)"
            rf"(?P<unit>{any_of(_UNITS)})(?:\^?(?P<power>[23]))?"
            rf"(?: ?/ ?(?P<per>{any_of(_PER)})(?P<squared>\^2)?)?(?![\w^'])(?:\.(?= [a-z]))?"
        ),
        _measure,
    ),
)
