"""English dates, times, fractions, ranges, years and telephone numbers in words."""

import re

from valle.phonemes.written.rules import VULGAR_FRACTION, Rule, any_of
from valle.text.spoken_numbers import cardinal, ordinal, plural, year

NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,9})?"
START = r"(?<![\w.,])"

# fmt: off
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")
_COUNTED = (
    "people", "men", "women", "children", "students", "soldiers", "troops", "workers", "members", "voters", "votes",
    "years", "days", "hours", "minutes", "times", "miles", "feet", "inches", "pounds", "tons", "tonnes", "acres",
    "dollars", "euros", "yen", "won", "cents", "percent", "%", "degrees", "calories", "points", "copies", "pages",
    "words", "items", "meters", "metres", "kilometers", "kilometres", "kilograms", "grams", "liters", "watts", "square",
    "cubic", "hundred", "thousand", "million", "billion", "plus", "times", "or so",
)
# fmt: on
_ROUND = {
    "100": "hundreds",
    "1,000": "thousands",
    "1000": "thousands",
    "10,000": "tens of thousands",
    "100,000": "hundreds of thousands",
    "1,000,000": "millions",
}  # fmt: skip
_ALWAYS_PAIRS = {"24/7", "9/11", "7/11", "20/20", "50/50", "60/40", "80/20", "90/10"}


def digits_in_words(digits: str) -> str:
    """Return the names of the digits of a string, without its other characters."""
    return " ".join(cardinal(int(digit)) for digit in digits if digit.isdecimal())


def _fraction_words(top: int, bottom: int) -> str:
    if bottom == 2:
        return "one half" if top == 1 else f"{cardinal(top)} halves"
    name = "quarter" if bottom == 4 else ordinal(bottom)
    return f"{cardinal(top)} {name.removeprefix('one ')}{'' if top == 1 else 's'}"


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    before = f"{match['whole']} " if match["whole"] else ""
    pair = f"{top}/{bottom}"
    if pair in _ALWAYS_PAIRS:
        return f"{before}{top} {bottom}"
    if not 0 < top < bottom or bottom < 2:
        return f"{before}{top} over {bottom}" if bottom else f"{before}{top} {bottom}"
    words = _fraction_words(top, bottom)
    if match["whole"]:
        return f"{match['whole']} and {'a half' if pair == '1/2' else words}"
    return words


def _date(month: int, day: int, years: str | None) -> str:
    spoken_year = f" {_year_words(years)}" if years else ""
    return f"{_MONTHS[month - 1]} {ordinal(day)}{spoken_year}"


def _year_words(digits: str) -> str:
    if len(digits) == 2:
        return f"oh {cardinal(int(digits))}" if digits[0] == "0" else cardinal(int(digits))
    return year(int(digits))


def _iso_date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    return _date(month, day, match["year"]) if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _slash_date(match: re.Match[str]) -> str:
    """Read month before day as Americans do, unless only the other order is a date."""
    first, second = int(match["first"]), int(match["second"])
    month, day = (second, first) if first > 12 else (first, second)
    return _date(month, day, match["year"]) if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _month_day(match: re.Match[str]) -> str:
    years = f"{match['comma']} {year(int(match['year']))}" if match["year"] else ""
    return f"{match['month']} {ordinal(int(match['day']))}{years}"


def _day_month(match: re.Match[str]) -> str:
    years = f"{match['comma']} {year(int(match['year']))}" if match["year"] else ""
    article = match["article"] or ("" if match["of"] else "the ")
    return f"{article}{ordinal(int(match['day']))} of {match['month']}{years}"


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match["hour"]), match.groupdict().get("minute", "00"), match["half"]
    if hour > 24:
        return match[0]
    letters = f" {' '.join(half.lower().replace('.', ''))}" if half else ""
    if minute == "00":
        clock = "" if half else " hundred" if hour > 12 or (len(match["hour"]) == 2 and hour < 10) else " o'clock"
        return f"{hour}{clock}{letters}"
    return f"{hour} {'oh ' + minute[1] if minute[0] == '0' else minute}{letters}"


def _military(match: re.Match[str]) -> str:
    """Return `0930 hours` as soldiers read it: `oh nine thirty`. `1500 hours` may be a duration."""
    hour, minute = match["hour"], match["minute"]
    if hour[0] != "0":
        return match[0]
    return f"oh {cardinal(int(hour))} {'hundred' if minute == '00' else minute} "


def _decade(match: re.Match[str]) -> str:
    value = int(match["decade"])
    return plural(year(value) if value >= 1100 else cardinal(value))


def _range(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    is_name = low == high or (low.isdecimal() and high.isdecimal() and int(low) > int(high) >= 100)
    return f"{low} {'' if is_name else 'to '}{high}"


_MONTH = "|".join(_MONTHS)
_DAY = r"(?P<day>[12]\d|3[01]|[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[12]\d{3})(?![\d.,:]\d|\d)"
_HALF = r"(?P<half>[AaPp]\.[Mm](?:\.(?! [A-Z]|$))?|[AaPp] ?[Mm]\b)"

TELEPHONES: tuple[Rule, ...] = (
    (
        re.compile(r"(?<![\w.,+-])(?:\+?1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\w-])"),
        lambda m: ("plus " if m[0][0] == "+" else "") + digits_in_words(m[0]),
    ),
    (re.compile(r"(?<![\w.,/-])\d{3}-\d{4}(?![\w-])"), lambda m: digits_in_words(m[0])),
    (re.compile(r"\+\d{1,3}(?:[ -]\d{2,5}){2,5}(?![\w-])"), lambda m: f"plus {digits_in_words(m[0])}"),
    (re.compile(r"(?<![\w.,])0\d{2,4} \d{3,4}(?: \d{3,4})?(?![\w-])"), lambda m: digits_in_words(m[0])),
    (re.compile(r"(?<![\w.,])\d{4}(?:[ -]\d{4}){2,4}(?![\w-])"), lambda m: digits_in_words(m[0])),
    (re.compile(r"(?<![\w.,])\d{10,40}(?![\d.,]\d|\w)"), lambda m: digits_in_words(m[0])),
    (
        re.compile(r"\b((?:call|dial)(?:s|l?ed|l?ing)?) (911|999|112|988|[234]11)(?![\w%]|[.,-]\d)"),
        lambda m: f"{m[1]} {digits_in_words(m[2])}",
    ),
)
DATES: tuple[Rule, ...] = (
    (re.compile(r"(?<=\d)(st|nd|rd|th)[-—](?=\d{1,3}(?:st|nd|rd|th)\b)"), r"\1 to "),
    (re.compile(r"(?<![\w/.-])(?P<year>[12]\d{3})-(?P<month>\d{2})-(?P<day>\d{2})(?![\w/-])"), _iso_date),
    (re.compile(r"(?<![\w/.-])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4}|\d{2})(?![\w/-])"), _slash_date),
    (re.compile(rf"\b(?P<month>{_MONTH}) {_DAY}(?![\w:/%-]|[.,]\d)(?:(?P<comma>,?) {_YEAR})?"), _month_day),
    (
        re.compile(
            rf"(?P<article>\b[Tt]he )?{START}{_DAY}(?P<of> of)? (?P<month>{_MONTH})\b(?:(?P<comma>,?) {_YEAR})?"
        ),
        _day_month,
    ),
)
TIMES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w:.,-])(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d) (?=(?:hours|hrs)\b)"), _military),
    (re.compile(rf"(?<![\w:.,])(\d{{1,2}})\.([0-5]\d)(?= ?{_HALF.replace('?P<half>', '?:')})"), r"\1:\2"),
    (
        re.compile(
            r"(?<![\w:.,-])(\d{1,2}(?::[0-5]\d)?(?: ?[AaPp][. ]?[Mm]\.?)?|noon|midnight) ?[-—] ?"
            r"(?=\d{1,2}(?::[0-5]\d(?!\d)| ?[AaPp][. ]?[Mm]\b))"
        ),
        r"\1 to ",
    ),
    (re.compile(rf"(?<![\d:.,])(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?![\d:])(?: ?{_HALF})?"), _time),
    (re.compile(rf"(?<![\d:.,])(?P<hour>\d{{1,2}}) ?{_HALF}"), _time),
    (re.compile(r"(?<![\d:])(\d{1,2}):(\d\d):(\d\d)(?![\d:])"), r"\1 \2 \3"),
    (re.compile(r"(?<=\d):(?=\d)"), " to "),
)  # fmt: skip
FRACTIONS: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w.,-])(\d{1,2})-(?=\d{1,2}[/⁄]\d{1,2}(?![\d/]))"), r"\1 "),
    (re.compile(rf"{VULGAR_FRACTION}(?:ths?\b)?"), _fraction),
)
RANGES: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w.,/-])(1[1-9]\d\d|20\d\d)/(\d\d)(?![\w/-])"), r"\1 \2"),
    (re.compile(r"(?<![\w.,-])(?P<low>1\d{3}|20\d\d)[-—](?P<high>\d{2})(?![\w-]|[.,]\d)"), _range),
    (re.compile(rf"(?<![\w.,-])(?P<low>{NUMBER}%?)[-—](?P<high>{NUMBER})(?![\d-]|[.,]\d)"), _range),
    (re.compile(r"(?<=\d)-(?=\d)"), " "),
)
YEARS: tuple[Rule, ...] = (
    (re.compile(rf"(?<![\w.,$])({any_of(_ROUND)})'?s\b"), lambda m: _ROUND[m[1]]),
    (re.compile(r"(?<![\w.,$#/])(?<!\d-)'?(?P<decade>(?:1[1-9]|20)\d0|[2-9]0)'?s\b"), _decade),
    (
        re.compile(
            rf"(?<![\w.,$#/'])(?<!\d-)(?P<year>1[1-9]\d\d|20\d\d)(?![\w/%]|[.,:]\d|-\d| ?(?:{any_of(_COUNTED)})(?!\w))"
        ),
        lambda m: year(int(m["year"])),
    ),
    (
        re.compile(
            r"(?:(?<=\b(?:[Ii]n|[Oo]f|[Bb]y|to) )|(?<=\b(?:[Ff]rom|year) )|(?<=\b(?:[Ss]ince|[Uu]ntil|[Aa]fter) ))"
            r"(?P<year>(?:10|21)\d\d)(?![\w/%]|[.,:]\d| [a-z]+s\b)"
        ),
        lambda m: year(int(m["year"])),
    ),
)
