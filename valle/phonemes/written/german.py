"""Verbalise written forms of German before espeak-ng reads the text.

espeak-ng reads whole and decimal numbers, times and percent rightly; it also reads a compound number better from
digits than from letters.
"""

import re

from num2words import num2words

from valle.phonemes.written.german_words import (
    ABBREVIATIONS,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    COUNTED_FEMININE,
    COUNTED_NEUTER,
    CURRENCIES,
    DAYS,
    FEMININE,
    MASCULINE,
    MONTHS_SHORT,
    NEUTER,
    PER,
    QUEENS,
    RULERS,
    UNITS,
    WITHOUT_DOT,
)
from valle.phonemes.written.rules import (
    DOT_BEFORE_MARK,
    SPACED_GROUPS,
    VULGAR_FRACTION,
    Rule,
    addresses,
    any_of,
    ends_sentence,
    rewrite,
    roman_value,
    separate_letters,
)

_NUMBER = r"(?:\d{1,3}(?:[. ]\d{3}){1,5}|\d{1,15})(?:,\d{1,9})?"
_START = r"(?<![\w.,])"

_ALWAYS_PAIRS = {"24/7", "9/11", "50/50"}
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
_BEFORE_DATIVE = "in|an|auf|aus|bei|mit|nach|seit|von|zu|unter|vor|über|während|wegen|ab"
_SENTENCE_STARTS = "Der|Die|Das|Er|Sie|Es|Und|In|Im|Am|Aber|Ein|Eine|Als|Wir|Ich|Dann|Doch|Da|So|Auch|Nach|Mit|Man"
_NO_NUMERALS = {"XX", "XXX", "VI"}
_NOUNS = any_of((*MASCULINE, *FEMININE, *NEUTER))
_DAY_NAMES = {name.lower() for name in DAYS.values()}
_YEAR_BEFORE = re.compile(
    r"\b(?:Jahre?|Jahres|seit|anno|Sommer|Herbst|Winter|Frühjahr|Frühling|Anfang|Mitte|Ende|"
    rf"{'|'.join(MASCULINE[:13])}) $",
    re.IGNORECASE,
)
_CONTEXT = 30


def _digits(text: str) -> str:
    return " ".join(character for character in text if character.isdecimal())


def _ordinal(number: int) -> str:
    return str(num2words(number, lang="de", to="ordinal"))


def _ending(before: str, after: str) -> str:
    """Return the inflection after `dritte`, from the words before the ordinal and the noun after it."""
    words = before.split()
    last = words[-1].lower() if words else ""
    is_dative = len(words) > 1 and re.fullmatch(_BEFORE_DATIVE, words[-2].lower()) is not None
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


def _ordinals(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()]
    after = match.string[match.end() : match.end() + _CONTEXT].lstrip()
    last = before.split()[-1].lower() if before.strip() else ""
    is_certain = after[:1].islower() or re.match(rf"(?:{_NOUNS})(?:s|es|e|en|n)?\b", after)
    is_likely = last in _DETERMINERS and re.match(rf"(?:{_SENTENCE_STARTS})\b", after) is None
    if last in _BEFORE_CARDINALS or not (is_certain or is_likely):
        return match[0]
    ending = _ending(before, after)
    numbers = re.split(r"(\d{1,3})\.", match[0])
    return "".join(_ordinal(int(part)) + ending if part.isdecimal() else part for part in numbers)


def _date(match: re.Match[str]) -> str:
    day, month, years = int(match["day"]), int(match["month"]), match.groupdict().get("year")
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    ending = _ending(match.string[max(0, match.start() - _CONTEXT) : match.start()], "")
    return f"{_ordinal(day)}{ending} {_ordinal(month)}{ending}" + (f" {_year(years)}" if years else "")


def _year(digits: str) -> str:
    """Return hundreds in words and the rest in digits: `neunzehnhundert 84`."""
    if not 1100 <= int(digits) <= 1999:
        return digits
    rest = str(int(digits[2:])) if digits[2:] != "00" else ""
    return f"{num2words(int(digits[:2]), lang='de')}hundert {rest}".strip()


def _plain_year(match: re.Match[str]) -> str:
    """Return a year; before a noun, four digits count things unless the word before shows a year."""
    counts = re.match(r" [A-ZÄÖÜ]", match.string[match.end() : match.end() + 2])
    if counts and not _YEAR_BEFORE.search(match.string[max(0, match.start() - _CONTEXT) : match.start()]):
        return match[0]
    return _year(match[0])


def _long_form(match: re.Match[str]) -> str:
    return _SHORT_FORMS[match[0].replace(" ", "")] + ("." if ends_sentence(match, _SENTENCE_STARTS) else "")


def _ruler(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    if value is None:
        return match[0]
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()].lower()
    is_dative = re.search(rf"\b(?:{_BEFORE_DATIVE})(?: \w{{1,12}}(?: [ivx]{{1,5}}\.? und)?)? $", before) is not None
    article = "der" if match["name"] not in QUEENS else "die"
    if match["genitive"]:
        article = "des" if article == "der" else "der"
    elif is_dative:
        article = "dem" if article == "der" else "der"
    is_inflected = match["genitive"] or is_dative
    word = f"{article} {_ordinal(value).capitalize()}{'n' if is_inflected else ''}"
    dot = match["dot"] if ends_sentence(match, _SENTENCE_STARTS) else ""
    return f"{match['name']}{match['genitive'] or ''} {word}{dot}"


def _after_article(match: re.Match[str]) -> str:
    """Return a Roman ordinal with the ending of its article: `der Vierzehnte`, `dem Vierzehnten`."""
    value = roman_value(match["roman"])
    if value is None:
        return match[0]
    is_nominative = match["article"].lower() in ("der", "die", "das")
    return f"{match['article']} {_ordinal(value)}{'' if is_nominative else 'n'}{_dot(match)}"


def _last_ordinal(match: re.Match[str]) -> str:
    """Return an ordinal whose full stop also ends the sentence: `am 5.`, `der 1.`."""
    ending = _ending(match.string[max(0, match.start() - _CONTEXT) : match.start("number")], "")
    return f"{match['before']} {_ordinal(int(match['number']))}{ending}."


def _dot(match: re.Match[str]) -> str:
    return "." if ends_sentence(match, _SENTENCE_STARTS) else ""


def _numeral(match: re.Match[str]) -> str:
    value = None if match[0] in _NO_NUMERALS else roman_value(match[0])
    return match[0] if value is None else str(value)


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    whole = f"{match['whole']} " if match["whole"] else ""
    if f"{top}/{bottom}" in _ALWAYS_PAIRS or not 0 < top < bottom:
        return f"{whole}{top} {bottom}"
    if bottom == 2:
        return f"{num2words(int(match['whole']), lang='de').removesuffix('s')}einhalb" if whole else "ein halb"
    part = _ordinal(bottom).removesuffix("te") + "tel"
    return f"{whole}{'ein' if top == 1 else top} {part.capitalize()}"


def _counted(number: str, unit: str) -> str:
    """Return a number before a noun, with its article for one and its plural for more."""
    first, _, rest = unit.partition(" ")
    is_feminine = first.endswith("e") and first not in ("Promille",) and not first.endswith("byte")
    if number == "1":
        return f"{'eine' if is_feminine else 'ein'} {unit}"
    return f"{number} {first}{'n' if is_feminine else ''}{' ' if rest else ''}{rest}"


def _measure(match: re.Match[str]) -> str:
    unit = UNITS[match["unit"]]
    if match["power"]:
        unit = ("Quadrat" if match["power"] == "2" else "Kubik") + unit.lower()
    per = f" pro {PER[match['per']]}" if match["per"] else ""
    return _counted(match["number"], unit) + per


def _money(match: re.Match[str]) -> str:
    number, scale, unit = match["number"], match["scale"] or "", CURRENCIES[match["sign"]]
    whole, _, part = number.partition(",")
    if scale or len(part) != 2:
        return f"{number}{scale} {unit}" if scale else _counted(number, unit)
    if whole == "0" and unit == "Euro":
        return f"{int(part)} Cent"
    return _counted(whole, unit) + ("" if part == "00" else f" {int(part)}")


def _time(match: re.Match[str]) -> str:
    if int(match["hour"]) > 24:
        return match[0]
    hour = "ein" if int(match["hour"]) == 1 else str(int(match["hour"]))
    return f"{hour} Uhr" + ("" if match["minute"] == "00" else f" {int(match['minute'])}")


def _range(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    falls = low.isdecimal() and high.isdecimal() and int(low) > int(high)
    return match[0] if falls and match["gap"] else f"{low} bis {high}"


def _one(match: re.Match[str]) -> str:
    """Return `1` before a noun as its article, in the dative after a preposition."""
    before = match.string[max(0, match.start() - _CONTEXT) : match.start()].split()
    is_dative = bool(before) and re.fullmatch(_BEFORE_DATIVE, before[-1].lower()) is not None
    if match["noun"] in COUNTED_FEMININE:
        return "einer" if is_dative else "eine"
    return "einem" if is_dative else "ein"


def _street(match: re.Match[str]) -> str:
    return "Straße" if match[0][0] == "S" else "straße"


def _spaced(short: str) -> str:
    return re.escape(short).replace(r"\ ", " ?")


_SHORT_FORMS = {short.replace(" ", ""): full for short, full in ABBREVIATIONS.items()}
_SHORT = "|".join(_spaced(short) for short in sorted(ABBREVIATIONS, key=len, reverse=True))
_SIGNS: tuple[Rule, ...] = (
    (re.compile(r"(?<![\w)])- ?(?=\d)|(?<=\d) [—-] (?=\d{1,15} =)"), " minus "),
    (re.compile(r" ?& ?"), " und "),
    (re.compile(r" ?\+ ?(?=\w)"), " plus "),
    (re.compile(r" ?= ?"), " gleich "),
    (re.compile(r" ?× ?|(?<=\d) ?[*x] ?(?=\d)"), " mal "),
    (re.compile(r" ?÷ ?"), " geteilt durch "),
    (re.compile(r"± ?"), "plus minus "),
    (re.compile(r" ?≈ ?| ?~ ?(?=\d)"), " etwa "),
    (re.compile(r" ?< ?(?=\d)"), " kleiner als "),
    (re.compile(r" ?> ?(?=\d)"), " größer als "),
    (re.compile(r"\^(?=\d)"), " hoch "),
    (re.compile(r"§§ ?"), "Paragrafen "),
    (re.compile(r"§ ?"), "Paragraf "),
    (re.compile(r"#(?=\d)"), "Nummer "),
    (re.compile(r"(?<=\w)/(?=\w)"), " "),
    (re.compile(r"[*_|\\]+"), " "),
    DOT_BEFORE_MARK,
    (re.compile(r" {2,}"), " "),
)
_NAMES: tuple[Rule, ...] = (
    addresses("ät, Punkt, Schrägstrich, Doppelpunkt, Fragezeichen, gleich, und, Raute, Unterstrich, Bindestrich"),
    (re.compile(r"(?<![\w.,])1 ?(Std|Min|Sek)\."), lambda m: f"eine {ABBREVIATIONS[m[1] + '.'].removesuffix('n')}"),
    (re.compile(rf"(?<![\w.])(?:{_SHORT})"), _long_form),
    (re.compile(rf"\b(?:{any_of(WITHOUT_DOT)})\b"), lambda m: WITHOUT_DOT[m[0]]),
    (re.compile(r"\b(?:CHF|S?Fr\.) ?(\d[\d.']{0,15}(?:,\d\d)?)"), r"\1 Franken"),
    (re.compile(r"(?<=\d) ?(?:CHF\b|S?Fr\.)"), " Franken"),
    (
        re.compile(rf"\b({any_of(DAYS)})\.(?=,? (?:\d|und |den |dem |der |(?:{any_of(DAYS)})\.))"),
        lambda m: DAYS[m[1]],
    ),
    (re.compile(rf"\b(?:{any_of(BEFORE_NAMES)})(?= [A-ZÄÖÜ])"), lambda m: BEFORE_NAMES[m[0]]),
    (re.compile(r"(?<=[a-zäöüß])str\.|\bStr\.(?= |$)"), _street),
    (
        re.compile(rf"\b(?P<name>{any_of((*RULERS, *QUEENS))})(?P<genitive>s)? (?P<roman>[IVX]{{1,6}})\b(?P<dot>\.?)"),
        _ruler,
    ),
    (re.compile(r"\b(?P<article>(?i:der|die|das|dem|den|des)) (?P<roman>[IVX]{1,6})\."), _after_article),
    (re.compile(rf"\b[IVX]{{1,6}}(?=\. (?:{_NOUNS}))"), _numeral),
    (re.compile(rf"\b({any_of(DAYS)})[-—]({any_of(DAYS)})\b"), lambda m: f"{DAYS[m[1]]} bis {DAYS[m[2]]}"),
    (re.compile(r"(?<![\w'.-])[IVXL]{2,6}(?![\w'-]|\.\w)"), _numeral),
    (re.compile(r"(?<=\bKapitel )[VX]\b"), _numeral),
    *separate_letters(_SENTENCE_STARTS),
)
_NUMBERS: tuple[Rule, ...] = (
    (re.compile(rf"(?<![\w.])({any_of(BEFORE_NUMBERS)}) ?(?=\d)"), lambda m: f"{BEFORE_NUMBERS[m[1]]} "),
    (re.compile(rf"(?<=\d\. )({any_of(MONTHS_SHORT)})"), lambda m: MONTHS_SHORT[m[1]]),
    (re.compile(rf"\b({any_of(MONTHS_SHORT)})(?= [12]\d{{3}}\b)"), lambda m: MONTHS_SHORT[m[1]]),
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ".")),
    (re.compile(r"(?<![\w.,/-])0\d{2,5}[ /-]\d{3,10}(?![\w-])|(?<![\w.,])\d{11,30}(?![\d.,]\d|\w)"),
     lambda m: _digits(m[0])),
    (re.compile(r"(?<=\d\.) ?[-—] ?(?=\d{1,2}\.(?: ?[A-ZÄÖÜ]|\d{1,2}\.))"), " bis "),
    (re.compile(r"(?<=\d:[0-5]\d) ?[-—] ?(?=\d{1,2}:[0-5]\d)"), " Uhr bis "),
    (re.compile(r"(?<![\w.-])(?P<year>[12]\d{3})-(?P<month>\d{2})-(?P<day>\d{2})(?![\w-])"), _date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>[12]\d{3})(?!\w|[.,]\d)"), _date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d\d)(?!\w|[.,]\d)"), _date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?![\w.]|,\d)"), _date),
    (
        re.compile(
            r"\b(?P<before>(?i:am|vom|zum|beim|ab|der|dem|den)) (?P<number>[12]?\d|3[01])\."
            rf"(?=[\"')]{{0,2}}(?:$| (?:{_SENTENCE_STARTS})\b))"
        ),
        _last_ordinal,
    ),
    (re.compile(r"(?<![\w.,])\d{1,3}\.(?:,? (?:und |oder |bis |bis zum )?\d{1,3}\.){0,3} (?=[a-zäöüA-ZÄÖÜ])"),
     _ordinals),
    (re.compile(r"(?<![\w.:,])(?P<hour>\d{1,2})[:.](?P<minute>[0-5]\d) Uhr\b"), _time),
    (re.compile(r"(?<![\w.:,])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\w:])"), _time),
    (re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d):([0-5]\d)(?![\d:])"), r"\1 Uhr \2 \3"),
    (re.compile(r"(?<=\d) : (?=\d{1,9} =)"), " geteilt durch "),
    (re.compile(r"(?<=\d) ?: ?(?=\d)"), " zu "),
    (re.compile(r"(?<![\w.,])1(?= Uhr\b)"), "ein"),
    (re.compile(r"(?<![\w.,])1 (Million|Milliarde)n?(?:en)?\b"), r"1 \1"),
    (re.compile(rf"(?<![\w.,/-])(?<!um )1(?= (?P<noun>{any_of((*COUNTED_NEUTER, *COUNTED_FEMININE))})\b)"), _one),
    (re.compile(r"(?<=\d)-([€$£])-(?=[A-Z])"), lambda m: f"-{CURRENCIES[m[1]]}-"),
    (re.compile(r"(?<=\d) ?%-?(?=ig)"), "-prozent"),
    (re.compile(r"(?<=\d),[-—]+"), ""),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(rf"\bUS-?\$ ?({_NUMBER})"), r"\1 US-Dollar"),
    (re.compile(r"(?<=\d) ?US-?\$"), " US-Dollar"),
    (re.compile(r"\bEUR ?(?=\d)|(?<=\d) ?EUR\b"), "€"),
    (re.compile(rf"(?P<sign>[€$£¥]) ?{_START}(?P<number>{_NUMBER})(?P<scale> (?:Million|Milliarde)(?:n|en)?\b)?"),
     _money),
    (re.compile(rf"{_START}(?P<number>{_NUMBER})(?P<scale> (?:Million|Milliarde)(?:n|en)?)? ?(?P<sign>[€$£¥])"),
     _money),
    (re.compile(r"(?<=[a-z]) ?([€$£¥])(?!\w)"), lambda m: f" {CURRENCIES[m[1]]}"),
    (re.compile(rf"{_START}(?P<low>{_NUMBER})(?P<gap> ?)[-—] ?(?P<high>{_NUMBER})(?![\d-]|[.,]\d)"), _range),
    (
        re.compile(
            rf"{_START}(?P<number>{_NUMBER}) ?(?P<unit>{any_of(UNITS)})(?:\^?(?P<power>[23]))?"
            rf"(?:/(?P<per>{any_of(PER)}))?(?![\w^'])"
        ),
        _measure,
    ),
    (re.compile(r"(?<![\w.,])1[1-9]\d\d(?=er\b)"), lambda m: _year(m[0])),
    (re.compile(r"(?<![\w.,$#/])1[1-9]\d\d(?![\w/%]|[.,:]\d)"), _plain_year),
)  # fmt: skip


def verbalise(text: str) -> str:
    """Return `text` with written forms in words; numbers that espeak-ng reads rightly stay as they are."""
    text = rewrite(text, _NAMES)
    if any(character.isdecimal() for character in text):
        text = rewrite(text, _NUMBERS)
    return rewrite(text, _SIGNS).strip()
