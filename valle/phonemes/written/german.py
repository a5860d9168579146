"""Verbalise written forms of German before espeak-ng reads the text.

espeak-ng reads whole and decimal numbers, times and percent rightly; it also reads a compound number better from
digits than from letters.
"""

import re

from num2words import num2words

from valle.phonemes.written.german_ordinals import (
    BEFORE_DATIVE,
    CONTEXT,
    NOUNS,
    SENTENCE_STARTS,
    after_article,
    date,
    last_ordinal,
    numeral,
    ordinal,
    ordinals,
    plain_year,
    roman_cardinal,
    ruler,
    year,
)
from valle.phonemes.written.german_words import (
    ABBREVIATIONS,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    BOOKS,
    COUNTED_FEMININE,
    COUNTED_NEUTER,
    CURRENCIES,
    DAYS,
    MASCULINE,
    MONTHS_SHORT,
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
    separate_letters,
)
from valle.phonemes.written.signs import greek, minutes_of_arc, tags

_NUMBER = r"(?:\d{1,3}(?:[. ]\d{3}){1,5}|\d{1,15})(?:,\d{1,9})?"
_START = r"(?<![\w.,])"

_ALWAYS_PAIRS = {"24/7", "9/11", "50/50"}


def _digits(text: str) -> str:
    return " ".join(character for character in text if character.isdecimal())


def _long_form(match: re.Match[str]) -> str:
    return _SHORT_FORMS[match[0].replace(" ", "")] + ("." if ends_sentence(match, SENTENCE_STARTS) else "")


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    whole = f"{match['whole']} " if match["whole"] else ""
    if f"{top}/{bottom}" in _ALWAYS_PAIRS or not 0 < top < bottom:
        return f"{whole}{top} {bottom}"
    if bottom == 2:
        return f"{num2words(int(match['whole']), lang='de').removesuffix('s')}einhalb" if whole else "ein halb"
    part = ordinal(bottom).removesuffix("te") + "tel"
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
    per = f" pro {PER[match['per']]}" if match["per"] else ""
    return _amount(match["number"], match["scale"] or "", CURRENCIES[match["sign"]]) + per


def _amount(number: str, scale: str, unit: str) -> str:
    whole, _, part = number.partition(",")
    if scale or len(part) != 2:
        return f"{number}{scale} {unit}" if scale else _counted(number, unit)
    if whole == "0" and unit == "Euro":
        return f"{int(part)} Cent"
    return _counted(whole, unit) + ("" if part == "00" else f" {int(part)}")


def _francs(match: re.Match[str]) -> str:
    """Return an amount in francs, whose decimals have a point in Switzerland."""
    return _amount(
        match["number"].replace("'", ".").replace(".", ",", 1 if match["number"][-3:-2] == "." else 0), "", "Franken"
    )


def _verse(match: re.Match[str]) -> str:
    """Return `1. Kor. 13,4-7` with the name of the book: `erster Korinther 13, 4 bis 7`."""
    number = f"{ordinal(int(match['number']))}r " if match["number"] else ""
    last = f" bis {match['last']}" if match["last"] else ""
    return f"{number}{BOOKS.get(match['book'], match['book'])} {match['chapter']}, {match['verse']}{last}"


def _time(match: re.Match[str]) -> str:
    if int(match["hour"]) > 24:
        return match[0]
    hour = "ein" if int(match["hour"]) == 1 else str(int(match["hour"]))
    return f"{hour} Uhr" + ("" if match["minute"] == "00" else f" {int(match['minute'])}")


def _range(match: re.Match[str]) -> str:
    low, high = match["low"], match["high"]
    falls = low.isdecimal() and high.isdecimal() and int(low) > int(high)
    if falls and match["gap"]:
        return match[0]
    # A score: `3-2 gewonnen`.
    return f"{low} {'zu' if falls and len(low) < 3 else 'bis'} {high}"


def _one(match: re.Match[str]) -> str:
    """Return `1` before a noun as its article, in the dative after a preposition."""
    before = match.string[max(0, match.start() - CONTEXT) : match.start()].split()
    is_dative = bool(before) and re.fullmatch(BEFORE_DATIVE, before[-1].lower()) is not None
    if match["noun"] in COUNTED_FEMININE:
        return "einer" if is_dative else "eine"
    return "einem" if is_dative else "ein"


def _street(match: re.Match[str]) -> str:
    return "Straße" if match[0][0] == "S" else "straße"


def _spaced(short: str) -> str:
    return re.escape(short).replace(r"\ ", " ?")


_SHORT_FORMS = {short.replace(" ", ""): full for short, full in ABBREVIATIONS.items()}
_SHORT = "|".join(_spaced(short) for short in sorted(ABBREVIATIONS, key=len, reverse=True))
_DAY = any_of(DAYS)
_MONTH = any_of(MASCULINE[:13])
_BOOK = any_of((*BOOKS, *BOOKS.values()))
_SIGNS: tuple[Rule, ...] = (
    *tags("ät ", "Hashtag "),
    *minutes_of_arc(" Grad ", " Minuten ", " Sekunden"),
    (re.compile(r"√ ?(?=\w)"), "Wurzel aus "),
    (re.compile(r" ?∞ ?"), " unendlich "),
    (re.compile(r" ?≤ ?"), " höchstens "),
    (re.compile(r" ?≥ ?"), " mindestens "),
    (re.compile(r" ?≠ ?"), " ungleich "),
    (re.compile(r"(?<![\w)])- ?(?=\d)|(?<=\d) [—-] (?=\d{1,15} =)"), " minus "),
    (re.compile(r" ?& ?"), " und "),
    (re.compile(r" ?\+ ?(?=\w)"), " plus "),
    (re.compile(r" ?= ?"), " gleich "),
    (re.compile(r" ?× ?|(?<=\d) ?[*x] ?(?=\d)"), " mal "),
    (re.compile(r"(?<=\d) ?x(?!\w)"), " mal"),
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
    greek(
        "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Jota Kappa Lambda Mü Nü Xi Omikron Pi Rho Sigma Tau Ypsilon Phi "
        "Chi Psi Omega"
    ),
    DOT_BEFORE_MARK,
    (re.compile(r" {2,}"), " "),
)
_NAMES: tuple[Rule, ...] = (
    addresses(
        "ät, Punkt, Schrägstrich, Doppelpunkt, Fragezeichen, gleich, und, Raute, Unterstrich, Bindestrich",
        "de|at|ch|fr|uk",
    ),
    (
        re.compile(
            rf"(?:\b(?P<number>[1-5])\. ?)?\b(?P<book>{_BOOK})\.? (?P<chapter>\d{{1,3}}), ?(?P<verse>\d{{1,3}})"
            rf"(?: ?[-—] ?(?P<last>\d{{1,3}}))?(?!\d|[.,]\d| ?(?:{any_of((*UNITS, *CURRENCIES))})(?!\w))"
        ),
        _verse,
    ),
    (
        re.compile(rf"\b({_DAY})\.? ?[-—] ?({_DAY})\b(?:\.(?= \d))?"),
        lambda m: f"{DAYS[m[1]]} bis {DAYS[m[2]]}",
    ),
    (
        re.compile(
            rf"\b({_DAY})\.?,? (?=\d{{1,2}}(?:[.:]\d\d)?(?: ?(?:[-—]|bis) ?\d{{1,2}}(?:[.:]\d\d)?)? ?(?:Uhr|h)\b"
            rf"|\d{{1,2}}\. ?(?:\d{{1,2}}\.|{_MONTH}\b))"
        ),
        lambda m: f"{DAYS[m[1]]}, ",
    ),
    (re.compile(r"(?<![\w.,])1 ?(Std|Min|Sek)\."), lambda m: f"eine {ABBREVIATIONS[m[1] + '.'].removesuffix('n')}"),
    (re.compile(rf"(?<![\w.])(?:{_SHORT})"), _long_form),
    (re.compile(rf"\b(?:{any_of(WITHOUT_DOT)})\b"), lambda m: WITHOUT_DOT[m[0]]),
    (
        re.compile(r"\b(?:CHF|S?Fr\.) ?(?P<number>\d(?:[\d.']{0,14}\d)?(?:,\d\d)?)(?:[.,][-—]+)?"),
        _francs,
    ),
    (re.compile(r"(?<=\d) ?(?:CHF\b|S?Fr\.)"), " Franken"),
    (
        re.compile(rf"\b({any_of(DAYS)})\.(?=,? (?:\d|und |den |dem |der |(?:{any_of(DAYS)})\.))"),
        lambda m: DAYS[m[1]],
    ),
    (re.compile(rf"\b(?:{any_of(BEFORE_NAMES)})(?= [A-ZÄÖÜ])"), lambda m: BEFORE_NAMES[m[0]]),
    (re.compile(r"(?<=[a-zäöüß])str\.|\bStr\.(?= |$)"), _street),
    (
        re.compile(rf"\b(?P<name>{any_of((*RULERS, *QUEENS))})(?P<genitive>s)? (?P<roman>[IVX]{{1,6}})\b(?P<dot>\.?)"),
        ruler,
    ),
    (re.compile(r"\b(?P<article>(?i:der|die|das|dem|den|des)) (?P<roman>[IVX]{1,6})\."), after_article),
    (re.compile(rf"\b[IVX]{{1,6}}(?=\.(?:,? ?(?:und|bis|oder|-|—) ?[IVX]{{1,6}}\.)? (?:{NOUNS}))"), roman_cardinal),
    (re.compile(r"(?<![\w'.-])[IVXL]{2,6}(?![\w'-]|\.\w)"), numeral),
    (re.compile(r"(?<=\bKapitel )[VX]\b"), numeral),
    *separate_letters(SENTENCE_STARTS),
)
_NUMBERS: tuple[Rule, ...] = (
    (re.compile(r"(?<=\d) ?ff?\.(?= [a-zäöü]|[,;:)])"), " folgende"),
    (re.compile(r"(?<=\d) ?ff?\."), " folgende."),
    (re.compile(r"\b(\d{1,2})\.([0-5]\d)(?= ?(?:bis|und|oder|-|—) ?\d{1,2}[.:][0-5]\d Uhr)"), r"\1:\2"),
    (re.compile(r"\+\d{1,3}(?:[ /-]\(?\d{1,12}\)?){1,5}(?![\w-])"), lambda m: f"plus {_digits(m[0])}"),
    (re.compile(r"(?<=\d) ?[TkK](?=€)"), " Tausend "),
    (re.compile(r"(?<=\d) ?M(?=€)"), " Millionen "),
    (re.compile(rf"(?<![\w.])({any_of(BEFORE_NUMBERS)}) ?(?=\d)"), lambda m: f"{BEFORE_NUMBERS[m[1]]} "),
    (re.compile(rf"(?<=\d\. )({any_of(MONTHS_SHORT)})"), lambda m: MONTHS_SHORT[m[1]]),
    (re.compile(rf"\b({any_of(MONTHS_SHORT)})(?= [12]\d{{3}}\b)"), lambda m: MONTHS_SHORT[m[1]]),
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ".")),
    (re.compile(r"(?<![\w.,/-])0\d{2,5}[ /-]\d{3,10}(?![\w-])|(?<![\w.,])\d{11,30}(?![\d.,]\d|\w)"),
     lambda m: _digits(m[0])),
    (re.compile(r"(?<=\d\.) ?[-—] ?(?=\d{1,2}\.(?: ?[A-ZÄÖÜ]|\d{1,2}\.))"), " bis "),
    (re.compile(r"(?<=\d:[0-5]\d) ?[-—] ?(?=\d{1,2}:[0-5]\d)"), " Uhr bis "),
    (re.compile(r"(?<![\w.-])(?P<year>[12]\d{3})-(?P<month>\d{2})-(?P<day>\d{2})(?![\w-])"), date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>[12]\d{3})(?!\w|[.,]\d)"), date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d\d)(?!\w|[.,]\d)"), date),
    (re.compile(r"(?<![\w.,])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?![\w.]|,\d)"), date),
    (
        re.compile(
            r"\b(?P<before>(?i:am|vom|zum|beim|ab|der|dem|den)) (?P<number>[12]?\d|3[01])\."
            rf"(?=[\"')]{{0,2}}(?:$| (?:{SENTENCE_STARTS})\b))"
        ),
        last_ordinal,
    ),
    (re.compile(r"(?<![\w.,])\d{1,3}\.(?:,? (?:und |oder |bis |bis zum )?\d{1,3}\.){0,3} (?=[a-zäöüA-ZÄÖÜ])"),
     ordinals),
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
    (re.compile(rf"(?P<sign>[€$£¥]) ?{_START}(?P<number>{_NUMBER})(?P<scale> (?:Million|Milliarde)(?:n|en)?\b)?"
                rf"(?:/(?P<per>{any_of(PER)})\b)?"),
     _money),
    (re.compile(rf"{_START}(?P<number>{_NUMBER})(?P<scale> (?:Millione?|Milliarde)n?|"
                rf" Tausend)? ?(?P<sign>[€$£¥])(?:/(?P<per>{any_of(PER)})\b)?"),
     _money),
    (re.compile(r"(?<=[a-z]) ?([€$£¥])(?!\w)"), lambda m: f" {CURRENCIES[m[1]]}"),
    (re.compile(rf"{_START}(?P<low>{_NUMBER})(?P<gap> ?)[-—] ?(?P<high>{_NUMBER})(?![\d-]|[.,]\d)"), _range),
    (
        re.compile(
            rf"{_START}(?P<number>{_NUMBER}(?: (?:Millione?|Milliarde)n?| Tausend)?) ?"
            rf"(?P<unit>{any_of(UNITS)})(?:\^?(?P<power>[23]))?"
            rf"(?:/(?P<per>{any_of(PER)}))?(?![\w^'])"
        ),
        _measure,
    ),
    (re.compile(r"(?<![\w.,])1[1-9]\d\d(?=er\b)"), lambda m: year(m[0])),
    (re.compile(r"(?<![\w.,$#/])1[1-9]\d\d(?![\w/%]|[.,:]\d)"), plain_year),
)  # fmt: skip


def verbalise(text: str) -> str:
    """Return `text` with written forms in words; numbers that espeak-ng reads rightly stay as they are."""
    text = rewrite(text, _NAMES)
    if any(character.isdecimal() for character in text):
        text = rewrite(text, _NUMBERS)
    return rewrite(text, _SIGNS).strip()
