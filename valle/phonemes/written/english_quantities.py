"""English money and measures in words: `$1.5 million`, `£3.50`, `80 km/h`, `72°F`.

Whole and decimal numbers stay in digits, which espeak-ng reads.
"""

import re

from valle.phonemes.written.english_numbers import NUMBER, START
from valle.phonemes.written.rules import Rule, any_of
from valle.text.spoken_numbers import cardinal, plural

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
    "mpg": "mile per gallon", "bpm": "beat per minute", "psi": "pound per square inch", "kΩ": "kilohm",
    "mA": "milliamp", "kN": "kilonewton", "hp": "horsepower", "sq. mi.": "square mile", "sq. mi": "square mile",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "° C": "degree Celsius", "° F": "degree Fahrenheit",
    "sq ft": "square foot", "sq. ft.": "square foot", "sq km": "square kilometer", "sq mi": "square mile",
    "cu ft": "cubic foot", "fl oz": "fluid ounce", "fl. oz": "fluid ounce",
    "tsp": "teaspoon", "tbsp": "tablespoon", "gal": "gallon", "qt": "quart",
}
_PER = {"h": "hour", "hr": "hour", "hour": "hour", "s": "second", "sec": "second", "second": "second",
        "min": "minute", "minute": "minute", "d": "day", "day": "day", "week": "week", "month": "month", "mo": "month",
        "yr": "year", "year": "year", "kg": "kilogram", "g": "gram", "l": "liter", "L": "liter", "ml": "milliliter",
        "m": "meter", "km": "kilometer", "gal": "gallon", "lb": "pound", "oz": "ounce", "person": "person",
        "night": "night"}
_PER_WORDS = {short: f"per {word}" for short, word in _PER.items()}
_SAME_PLURAL = ("horsepower", "hertz", "kilohertz", "megahertz", "gigahertz")
# fmt: on
_PART = r"(?:\d{1,3} and )?[a-z]{1,9} (?:half|quarters?|thirds?|fifths?|eighths?|sixteenths?)"
_AN = r"(?:\b(?P<article>[Aa]n?) )?"
_SCALE = rf"{any_of((*_SCALES, *_SCALE_WORDS))}"
_FRANCS = re.compile(rf"\bCHF ?({NUMBER})|{START}({NUMBER}) ?CHF\b")
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_EUROPEAN = r"\d{1,3}(?:\.\d{3}){0,4},\d\d(?!\d|[.,]\d)"
# Things that are named by a number of thousands: `a 10k run`.
_AFTER_K = ("run", "race", "walk", "resolution", "video", "display", "monitor", "gold", "ohm", "resistor")
_QUOTATION = 200  # characters in which an opening mark is looked for
# Nouns after an amount that is their value, so that the currency is singular: `two 20 dollar bills`.
_OF_A_VALUE = r" (?:bill|note|coin|stamp|ticket|banknote)s?\b"
# Nouns that a measure with a full stop describes, so that the unit is singular: `50 lb. bag`, `16 oz. can`.
_SIZED = (
    "bag", "board", "boat", "bottle", "box", "bucket", "cable", "cake", "can", "carton", "climb", "cord", "cup",
    "delay", "diameter", "drive", "drop", "dumbbell", "fence", "flight", "glass", "hike", "hose", "jar", "jump",
    "ladder", "lens", "lesson", "limit", "mug", "nap", "pack", "package", "packet", "pipe", "plank", "pole", "race",
    "radius", "ride", "rope", "run", "sack", "screen", "session", "steak", "swim", "tank", "tin", "trail", "tree",
    "turkey", "video", "walk", "wall", "weight",
)  # fmt: skip
_OF_A_SIZE = rf" (?:{any_of(_SIZED)})(?:e?s)?\b"


def _is_one(number: str) -> bool:
    return number in ("1", "1.0")


def _plural(unit: str) -> str:
    first, separator, rest = unit.partition(" ")
    if first in ("square", "cubic", "fluid", "kilowatt", "megawatt", "milliamp"):
        return f"{first} {_plural(rest)}"
    if first in _SAME_PLURAL:
        return unit
    return ("feet" if first == "foot" else first + "s") + separator + rest


def _money(match: re.Match[str]) -> str:
    found = match.groupdict()
    one, many = _CURRENCIES[match["sign"]]
    country = _COUNTRIES.get(found.get("country") or "", "")
    number, to, scale, article = match["number"], found.get("to"), found.get("scale"), match["article"]
    if found.get("plural"):
        return " ".join(filter(None, (article, plural(cardinal(int(number))))))
    whole, _, part = number.partition(".")
    if not (to or scale) and len(part) == 2:
        words = _with_cents(whole, int(part), match["sign"], country)
    else:
        low = (
            number if found.get("first") in (None, scale) else f"{number} {_SCALES.get(found['first'], found['first'])}"
        )
        amount = " ".join(filter(None, (f"{low} to {to}" if to else low, _SCALES.get(scale or "", scale))))
        words = f"{amount} {country}{one if _is_adjective(match) or _is_one(amount) else many}"
    return " ".join(filter(None, (article, words, _PER_WORDS.get(found.get("per") or ""))))


def _is_adjective(match: re.Match[str]) -> bool:
    """Decide whether an amount belongs to a noun: `a $5 tip`, `a $15-an-hour job`, `$20 bills`, `million-dollar`."""
    after = match.string[match.end() : match.end() + 12]
    is_before_noun = re.match(rf"-[a-z]|{_OF_A_VALUE}", after) is not None
    return (
        is_before_noun
        or match[0].endswith("-dollar")
        or (bool(match.groupdict().get("article")) and re.match(" [a-z]", after) is not None)
    )


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
    is_single = (
        _is_one(number)
        or re.match("(?:one|a) ", number) is not None
        or match["gap"] == "-"
        or bool(match["article"])
        or (match[0].endswith(".") and re.match(_OF_A_SIZE, match.string[match.end() : match.end() + 16]) is not None)
    )
    article = f"{match['article']} " if match["article"] else ""
    per = _per(match["per"], match["per_power"]) if match["per"] else ""
    return f"{article}{number} {unit if is_single else _plural(unit)}{per}"


def _inches(match: re.Match[str]) -> str:
    """Return the mark after a number as inches, unless it closes a quotation."""
    is_closing = match.string.count('"', max(0, match.start() - _QUOTATION), match.start()) % 2 == 1
    return match[0] if is_closing else f"{match[1]} inch"


def _with_point(match: re.Match[str]) -> str:
    """Return an amount with a decimal comma as English writes it."""
    return match[0].translate(str.maketrans(".,", ",."))


def _per(unit: str, power: str | None) -> str:
    """Return the divisor of a measure: ` per second squared`, ` per cubic meter`."""
    name = {"2": "square", "3": "cubic"}.get(power or "", "")
    if not name or _PER[unit] == "second":
        return f" per {_PER[unit]}{' squared' if power else ''}"
    return f" per {name} {_PER[unit]}"


MONEY: tuple[Rule, ...] = (
    (re.compile(rf"\b({any_of(_CODES)}) ?(?=\d)"), lambda m: _CODES[m[1]]),
    (re.compile(r"\bRs\.? ?(?=\d)"), "₹"),
    (_FRANCS, lambda m: f"{m[1] or m[2]} Swiss franc{'' if _is_one(m[1] or m[2]) else 's'}"),
    (re.compile(rf"\bR\$ ?({NUMBER})"), lambda m: f"{m[1]} {'real' if _is_one(m[1]) else 'reais'}"),
    (re.compile(r"(?<![\w.,])(1p|\d{1,2}p)\b"), lambda m: "1 penny" if m[1] == "1p" else f"{m[1][:-1]} pence"),
    (re.compile(rf"(?<![\w.,$£€])(\d{{2,3}})[kK](?= (?!(?:{any_of(_AFTER_K)})\b)[a-z]{{3}})"), r"\1 thousand"),
    (re.compile(rf"(?<=\d) ?({any_of(_CODES)})\b"), lambda m: _CODES[m[1]]),
    (re.compile(rf"([{''.join(_CURRENCIES)}])- ?(?=\.?\d)"), r"-\1"),
    (re.compile(rf"([{''.join(_CURRENCIES)}])(?=\.\d)"), r"\g<1>0"),
    # A comma before two digits is a decimal point beside a euro: `€1,50`, `1.000,50 €`.
    (re.compile(rf"€ ?{_EUROPEAN}"), _with_point),
    (re.compile(rf"(?<![\d.,€]){_EUROPEAN}(?= ?€)"), _with_point),
    (
        re.compile(
            rf"{_AN}(?:\b(?P<country>{any_of(_COUNTRIES)}))?(?P<sign>[{''.join(_CURRENCIES)}]) ?(?P<number>{NUMBER})"
            rf"(?P<plural>'?s\b)?(?:(?:[ -]?(?P<first>{_SCALE}))? ?[-—] ?(?P=sign)?(?P<to>{NUMBER}))?"
            rf"(?:[ -]?(?P<scale>{_SCALE})\b)?"
            rf"(?:/(?P<per>{any_of(_PER)})\b)?(?:-dollar\b| (?:dollars|pounds|euros|yen)\b)?"
        ),
        _money,
    ),
    (
        re.compile(rf"{_AN}{START}(?P<number>{NUMBER}) ?(?P<sign>[{''.join(_CURRENCIES)}])(?!\w)"),
        _money,
    ),
    (
        re.compile(rf"{START}(?P<number>{NUMBER}) ?¢"),
        lambda m: f"{m['number']} cent{'' if _is_one(m['number']) or _is_adjective(m) else 's'}",
    ),
)
MEASURES: tuple[Rule, ...] = (
    (re.compile(r"(?<=\d) ?(hr|min|lb|ft)s?\. (?=\d{1,2} ?(?:min|sec|oz|in)\b)"), r" \1 "),
    (re.compile(r"(?<![\w.,])(\d{1,2})' ?(\d|1[01])(?:\"|(?![\d\w'\"]))"), r"\1 foot \2"),
    (re.compile(r"(?<![\w.,])(\d{1,2})' ?([1-5]\d)\""), r"\1 minutes \2"),
    (re.compile(rf"({_PART})\"(?= [a-z])"), r"\1 inch"),
    # Both ends of a range have their unit: `20°C-25°C`.
    (
        re.compile(rf"{START}({NUMBER} ?(?:{any_of(_UNITS)}))[-—](?={NUMBER} ?(?:{any_of(_UNITS)})(?![\w^']))"),
        r"\1 to ",
    ),
    (re.compile(r"(?<![\w.,'])(\d{1,3}(?:\.\d)?)\"(?= [a-z])"), _inches),
    (re.compile(r"(?<=\d) ?(?:ft|feet)\.? (\d{1,2}) ?in\b(?:\.(?= [a-z]|[,;:]))?"), r" feet \1 inches"),
    (re.compile(r"(?<=\d)in\b|(?<=\d) ?in\.(?= [a-z])"), " inches"),
    (re.compile(r"(?<=\d) ?h(?:rs?)? ?(\d{1,2}) ?m(?:in)?\b"), r" hours \1 minutes"),
    (
        re.compile(
            rf"{_AN}{START}(?P<number>{NUMBER}|{_PART})(?P<gap>[ -]?)"
            rf"(?P<unit>{any_of(_UNITS)})(?:\^?(?P<power>[23]))?"
            rf"(?: ?/ ?(?P<per>{any_of(_PER)})(?:\^?(?P<per_power>[23]))?)?(?![\w^'])"
            # Behind an article no sentence ends: `a 6 ft. Christmas tree`.
            r"(?:\.(?= [a-z]|[,;:])|(?(article)\.(?= [A-Z])|(?!)))?"
        ),
        _measure,
    ),
)
