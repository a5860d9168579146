"""Apply rewrite rules in order; numerals that several languages share.

Every quantifier in a rule has a bound, and a number never begins inside another one. The time is then linear in the
length of the text.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
"""A pattern and the replacement of each match: a template, or a function of the match."""

VULGAR_FRACTION = r"(?:(?P<whole>\d{1,3}) )?(?<![\d/⁄.,])(?P<top>\d{1,3})[/⁄](?P<bottom>\d{1,3})(?![\d/⁄]|[.,]\d)"
SPACED_GROUPS = re.compile(r"(?<![\d.,])[1-9](?:\d?(?: \d{3}){1,5}|\d\d(?: 000){1,5})(?![\d-]| \d)")
"""Thousands with spaces: `10 000`, `1 234 567`; three digits before three others are two numbers but for `100 000`."""
URL_PATH = r"(?::\d{1,5})?(?:[/?#][\w./?=&#%+~-]{0,200}\b)?"
"""Port, path, query and fragment of an address."""
DOT_BEFORE_MARK: Rule = (re.compile(r"(?<=\w)\.(?=[,;:])"), "")
"""The full stop of an abbreviation before another mark: `12 oz., 5 lbs.`"""
_DOMAINS = "com|org|net|edu|gov|info|io|eu|tv"
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_VALID_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")


def rewrite(text: str, rules: Sequence[Rule]) -> str:
    """Apply every rule to all of `text`, in order."""
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def addresses(names: str, domains: str) -> Rule:
    """Return the rule that puts the marks of `name@example.com`, `www.example.com/page?id=5#top` and `a.org` in words.

    `names` are those of the marks `@`, `.`, `/`, `:`, `?`, `=`, `&`, `#`, `_` and `-`, divided by commas. Without `@`
    or `www` an address ends in one of `domains`, of which none may be a word of the language.
    """
    words = {mark: f" {name} " for mark, name in zip("@./:?=&#_-", names.split(", "), strict=True)}
    host = r"(?:[A-Za-z\d-]{1,63}\.){1,4}[A-Za-z]{2,20}"
    start = r"(?:[A-Za-z\d_.+-]{1,64}@|www\.|(?<=://))"
    bare = rf"(?:[A-Za-z\d-]{{2,63}}\.){{1,4}}(?:{_DOMAINS}|{domains})(?![A-Za-z\d@]|\.\w)"
    return (
        re.compile(rf"(?<![A-Za-z\d_.@-])(?:https?://)?((?:{start}{host}|{bare}){URL_PATH})/?"),
        lambda match: re.sub("[@./:?=&#_-]", lambda mark: words[mark[0]], match[1]),
    )


def in_myriads(number: str, scale: str, names: str) -> str:
    """Return `5M` as `500万`, as languages count that group four digits; `names` has those of 10^4 and 10^8."""
    power, name = {"k": (3, ""), "m": (2, names[0]), "b": (1, names[1])}[scale[0].lower()]
    value = Decimal(number.replace(",", "")).scaleb(power)
    return f"{value.normalize():f}{name}"


def any_of(words: Iterable[str]) -> str:
    """Return a pattern that matches any of `words`, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def roman_value(letters: str) -> int | None:
    """Return the value of a Roman numeral in capitals, None where the letters are none."""
    if not letters or not _VALID_ROMAN.fullmatch(letters):
        return None
    values = [_ROMAN[letter] for letter in letters]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _roman_in_digits(match: re.Match[str]) -> str:
    value = roman_value(match[0])
    return match[0] if value is None else str(value)


ROMAN_NUMERAL: Rule = (re.compile(r"(?<![A-Za-z'.-])[IVX]{2,6}(?![A-Za-z'-]|\.\w)"), _roman_in_digits)
"""A numeral of two letters or more in text of another script: `第XII章` has `第12章`."""


def ends_sentence(match: re.Match[str], starts: str) -> bool:
    """Decide whether the full stop of an abbreviation also ends its sentence: nothing follows, or one of `starts`."""
    rest = match.string[match.end() : match.end() + 20]
    return re.match(rf"[\"')]{{0,2}}$| (?:{starts})\b", rest) is not None


def separate_letters(starts: str) -> tuple[Rule, ...]:
    """Return rules that remove the dots of `U.S.A.` and of initials, but for those that end a sentence."""

    def letters(match: re.Match[str]) -> str:
        return " ".join(match[0].replace(".", "")) + ("." if ends_sentence(match, starts) else "")

    return (
        (re.compile(r"(?<![\w.'])(?:[A-Z]\.){2,10}(?!\w)"), letters),
        (re.compile(rf"(?<![\w'])([A-Z])\.(?=[ -](?:[A-Z]\.|[A-Z][a-zà-ÿ]))(?![ -](?:{starts})\b)"), r"\1"),
    )
