"""Read German ordinals, dates, years and Roman numerals with the endings that the words around them ask for."""

import re

from num2words import num2words

from valle.phonemes.written.german_words import DAYS, FEMININE, MASCULINE, NEUTER, QUEENS
from valle.phonemes.written.rules import any_of, ends_sentence, roman_value

_INFLECTING = {
    "am",
    "im",
    "vom",
    "zum",
    "zur",
    "beim",
    "dem",
    "den",
    "des",
    "einem",
    "einen",
    "eines",
    "seinem",
    "ihrem",
}
_DETERMINERS = _INFLECTING | {"der", "die", "das", "jeder", "jede", "jedes"}
_BEFORE_CARDINALS = {"nummer", "kapitel", "platz", "seite", "band", "teil", "raum", "gleis"}
BEFORE_DATIVE = "in|an|auf|aus|bei|mit|nach|seit|von|zu|unter|vor|über|während|wegen|ab"
SENTENCE_STARTS = "Der|Die|Das|Er|Sie|Es|Und|In|Im|Am|Aber|Ein|Eine|Als|Wir|Ich|Dann|Doch|Da|So|Auch|Nach|Mit|Man"
# Capitals that are more often names or sizes than numerals.
_NO_NUMERALS = {"XX", "XXX", "VI"}
NOUNS = any_of((*MASCULINE, *FEMININE, *NEUTER))
_DAY_NAMES = {name.lower() for name in DAYS.values()}
_YEAR_BEFORE = re.compile(
    r"\b(?:Jahre?|Jahres|seit|anno|Sommer|Herbst|Winter|Frühjahr|Frühling|Anfang|Mitte|Ende|"
    rf"{'|'.join(MASCULINE[:13])}) $",
    re.IGNORECASE,
)
CONTEXT = 30


def ordinal(number: int) -> str:
    """Return `dritte` for 3, without the ending of its case."""
    return str(num2words(number, lang="de", to="ordinal"))


def _ending(before: str, after: str) -> str:
    """Return the inflection after `dritte`, from the words before the ordinal and the noun after it."""
    words = before.split()
    last = words[-1].lower() if words else ""
    is_dative = len(words) > 1 and re.fullmatch(BEFORE_DATIVE, words[-2].lower()) is not None
    if len(words) > 1 and last.rstrip(",") in _DAY_NAMES:
        last = words[-2].lower()
    if last in _INFLECTING or last in ("bis", "ab", "seit") or (last == "der" and is_dative):
        return "n"
    if last in ("der", "die", "das", "diese", "dieser", "dieses", "jeder", "jede", "jedes"):
        return ""
    noun = re.match(r"\w+", after)
    if noun and noun[0] in FEMININE:
        return ""
    return "s" if noun and noun[0] in NEUTER else "r" if noun is None or noun[0] in MASCULINE else ""


def ordinals(match: re.Match[str]) -> str:
    """Return `am 3. und 4. Mai` with both ordinals in words, and numbers that end a sentence as they are."""
    before = match.string[max(0, match.start() - CONTEXT) : match.start()]
    after = match.string[match.end() : match.end() + CONTEXT].lstrip()
    last = before.split()[-1].lower() if before.strip() else ""
    is_certain = after[:1].islower() or re.match(rf"(?:{NOUNS})(?:s|es|e|en|n)?\b", after)
    is_likely = last in _DETERMINERS and re.match(rf"(?:{SENTENCE_STARTS})\b", after) is None
    if last in _BEFORE_CARDINALS or not (is_certain or is_likely):
        return match[0]
    ending = _ending(before, after)
    numbers = re.split(r"(\d{1,3})\.", match[0])
    return "".join(ordinal(int(part)) + ending if part.isdecimal() else part for part in numbers)


def date(match: re.Match[str]) -> str:
    """Return `3.10.1990` as two ordinals and a year; what is no date stays as it is."""
    day, month, years = int(match["day"]), int(match["month"]), match.groupdict().get("year")
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    ending = _ending(match.string[max(0, match.start() - CONTEXT) : match.start()], "")
    return f"{ordinal(day)}{ending} {ordinal(month)}{ending}" + (f" {year(years)}" if years else "")


def year(digits: str) -> str:
    """Return hundreds in words and the rest in digits: `neunzehnhundert 84`."""
    if not 1100 <= int(digits) <= 1999:
        return digits
    rest = str(int(digits[2:])) if digits[2:] != "00" else ""
    return f"{num2words(int(digits[:2]), lang='de')}hundert {rest}".strip()


def plain_year(match: re.Match[str]) -> str:
    """Return a year; before a noun, four digits count things unless the word before shows a year."""
    counts = re.match(r" [A-ZÄÖÜ]", match.string[match.end() : match.end() + 2])
    if counts and not _YEAR_BEFORE.search(match.string[max(0, match.start() - CONTEXT) : match.start()]):
        return match[0]
    return year(match[0])


def ruler(match: re.Match[str]) -> str:
    """Return `Ludwig XIV.` with article and ordinal: `Ludwig der Vierzehnte`."""
    value = roman_value(match["roman"])
    if value is None:
        return match[0]
    before = match.string[max(0, match.start() - CONTEXT) : match.start()].lower()
    is_dative = re.search(rf"\b(?:{BEFORE_DATIVE})(?: \w{{1,12}}(?: [ivx]{{1,5}}\.? und)?)? $", before) is not None
    article = "der" if match["name"] not in QUEENS else "die"
    if match["genitive"]:
        article = "des" if article == "der" else "der"
    elif is_dative:
        article = "dem" if article == "der" else "der"
    is_inflected = match["genitive"] or is_dative
    word = f"{article} {ordinal(value).capitalize()}{'n' if is_inflected else ''}"
    dot = match["dot"] if ends_sentence(match, SENTENCE_STARTS) else ""
    return f"{match['name']}{match['genitive'] or ''} {word}{dot}"


def after_article(match: re.Match[str]) -> str:
    """Return a Roman ordinal with the ending of its article: `der Vierzehnte`, `dem Vierzehnten`."""
    value = roman_value(match["roman"])
    if value is None:
        return match[0]
    is_nominative = match["article"].lower() in ("der", "die", "das")
    return f"{match['article']} {ordinal(value)}{'' if is_nominative else 'n'}{_dot(match)}"


def last_ordinal(match: re.Match[str]) -> str:
    """Return an ordinal whose full stop also ends the sentence: `am 5.`, `der 1.`."""
    ending = _ending(match.string[max(0, match.start() - CONTEXT) : match.start("number")], "")
    return f"{match['before']} {ordinal(int(match['number']))}{ending}."


def _dot(match: re.Match[str]) -> str:
    return "." if ends_sentence(match, SENTENCE_STARTS) else ""


def roman_cardinal(match: re.Match[str]) -> str:
    """Return the digits of a Roman numeral whose context shows that it is one."""
    value = roman_value(match[0])
    return match[0] if value is None else str(value)


def numeral(match: re.Match[str]) -> str:
    """Return the digits of capitals that are more often a numeral than a word."""
    value = None if match[0] in _NO_NUMERALS else roman_value(match[0])
    return match[0] if value is None else str(value)
