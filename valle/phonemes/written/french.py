"""Verbalise written forms of French before espeak-ng reads the text.

espeak-ng reads whole and decimal numbers, years, percent and pairs of digits rightly.
"""

import re

from num2words import num2words

from valle.phonemes.written.rules import (
    DOT_BEFORE_MARK,
    VULGAR_FRACTION,
    Rule,
    addresses,
    any_of,
    ends_sentence,
    rewrite,
    roman_value,
    separate_letters,
)
from valle.phonemes.written.signs import greek, minutes_of_arc, tags

_NUMBER = r"(?:\d{1,3}(?:[. ]\d{3}){1,5}|\d{1,15})(?:,\d{1,9})?"
_START = r"(?<![\w.,])"

# fmt: off
_BEFORE_NAMES = {"M.": "Monsieur", "MM.": "Messieurs", "Mme": "Madame", "Mmes": "Mesdames", "Mlle": "Mademoiselle",
                 "Mlles": "Mesdemoiselles", "Dr": "Docteur", "Pr": "Professeur", "Me": "Maître", "Mgr": "Monseigneur"}
_ANYWHERE = {"av. J.-C.": "avant Jésus-Christ", "ap. J.-C.": "après Jésus-Christ", "apr. J.-C.": "après Jésus-Christ",
             "i.e.": "c'est-à-dire", "Tél.": "téléphone", "J.-C.": "Jésus-Christ",
             "c.-à-d.": "c'est-à-dire", "etc.": "et cetera", "env.": "environ", "cf.": "confer", "tél.": "téléphone",
             "p. ex.": "par exemple", "max.": "maximum", "min.": "minimum", "svp": "s'il vous plaît",
             "s.v.p.": "s'il vous plaît", "p.ex.": "par exemple", "N.-D.": "Notre-Dame", "hab.": "habitants",
             "éd.": "édition", "dép.": "département"}
_BEFORE_NUMBERS = {"al.": "alinéa", "n°": "numéro", "no": "numéro", "nos": "numéros", "n°s": "numéros", "p.": "page",
                   "pp.": "pages", "art.": "article", "chap.": "chapitre", "vol.": "volume", "fig.": "figure",
                   "t.": "tome"}
_MONTHS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
           "décembre")
_SHORT_MONTHS = {"janv": "janvier", "févr": "février", "avr": "avril", "juil": "juillet", "sept": "septembre",
                 "oct": "octobre", "nov": "novembre", "déc": "décembre"}
_SHORT_DAYS = {"lun": "lundi", "mar": "mardi", "mer": "mercredi", "jeu": "jeudi", "ven": "vendredi", "sam": "samedi",
               "dim": "dimanche"}
_COUNTED_FEMININE = ("femme", "fille", "personne", "heure", "minute", "seconde", "journée", "semaine", "année", "fois",
                     "tonne", "livre", "page", "place", "voiture", "maison", "tasse", "cuillère", "bouteille", "pièce",
                     "équipe", "victoire", "nuit")
_WITH_HALVES = ("an", "jour", "mètre", "kilomètre", "kilo", "litre", "euro", "point", *_COUNTED_FEMININE)
_RULERS = ("Alexandre", "Benoît", "Catherine", "Charles", "Clément", "Édouard", "Edouard", "Élisabeth", "Elisabeth",
           "François", "Frédéric", "George", "Georges", "Grégoire", "Guillaume", "Henri", "Innocent", "Jacques", "Jean",
           "Joseph", "Léon", "Léopold", "Louis", "Nicolas", "Napoléon", "Othon", "Paul", "Philippe", "Pie", "Pierre",
           "Ramsès", "Richard", "Robert", "Urbain")
_HEADINGS = ("chapitre", "acte", "tome", "livre", "partie", "titre", "article", "Vatican", "volume", "phase", "type")
_UNITS = {
    "km": "kilomètre", "m": "mètre", "cm": "centimètre", "mm": "millimètre", "kg": "kilogramme", "g": "gramme",
    "mg": "milligramme", "t": "tonne", "l": "litre", "L": "litre", "ml": "millilitre", "cl": "centilitre",
    "ha": "hectare", "min": "minute", "s": "seconde", "ms": "milliseconde", "Hz": "hertz", "kHz": "kilohertz",
    "MHz": "mégahertz", "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "MW": "mégawatt", "GW": "gigawatt",
    "kWh": "kilowattheure", "V": "volt", "Ko": "kilooctet", "Mo": "mégaoctet", "Go": "gigaoctet", "To": "téraoctet",
    "dB": "décibel", "kcal": "kilocalorie", "μm": "micromètre", "nm": "nanomètre", "μg": "microgramme", "Ω": "ohm",
    "kΩ": "kiloohm", "mA": "milliampère", "mAh": "milliampère-heure", "kJ": "kilojoule", "hPa": "hectopascal",
    "kN": "kilonewton", "kbit": "kilobit", "Mbit": "mégabit", "Mb": "mégabit", "Gbit": "gigabit", "Gb": "gigabit",
    "°C": "degré Celsius", "° C": "degré Celsius", "°F": "degré Fahrenheit",
    "°": "degré",
}
_FEMININE = ("tonne", "minute", "seconde", "milliseconde", "kilocalorie", "livre")
_PER = {"h": "heure", "s": "seconde", "min": "minute", "jour": "jour", "mois": "mois", "an": "an", "kg": "kilogramme",
        "l": "litre", "L": "litre", "m": "mètre", "km": "kilomètre", "semaine": "semaine", "personne": "personne",
        "nuit": "nuit", "heure": "heure"}
# Books whose chapters and verses are given with a comma or a colon: `Jean 3:16`.
_BOOKS = {"Gn": "Genèse", "Ps": "Psaume", "Is": "Isaïe", "Mt": "Matthieu", "Mc": "Marc", "Lc": "Luc", "Jn": "Jean",
          "Ac": "Actes", "Rm": "Romains", "Co": "Corinthiens", "Ga": "Galates", "Ep": "Éphésiens", "He": "Hébreux",
          "Ap": "Apocalypse"}
_CURRENCIES = {"€": "euro", "$": "dollar", "£": "livre", "¥": "yen"}
_SCALES = {"M": "million", "Md": "milliard", "Mds": "milliard"}
_TENS = {"2": "vingt", "3": "trente", "4": "quarante", "5": "cinquante", "6": "soixante"}
_PARTS = {2: "demi", 3: "tiers", 4: "quart"}
# fmt: on
_ALWAYS_PAIRS = {"24/7", "9/11", "50/50", "24/24"}
_SENTENCE_STARTS = "Le|La|Les|Un|Une|Il|Elle|Ils|Elles|On|Nous|Vous|Je|Tu|Ce|C'est|Mais|Et|En|Dans|Puis|Pour|Au|À|Si"


def _ordinal(number: int) -> str:
    # num2words keeps the plural of quatre-vingts and deux cents.
    words = str(num2words(number, lang="fr", to="ordinal"))
    return words.replace("vingtsième", "vingtième").replace("centsième", "centième")


def _plural(word: str) -> str:
    first, separator, rest = word.partition(" ")
    return (first if first.endswith(("s", "z")) else first + "s") + separator + rest


def _is_single(number: str) -> bool:
    """Decide as French grammar does: a plural begins at two."""
    return number.partition(",")[0] in ("0", "1")


def _counted(number: str, unit: str) -> str:
    if number == "1" and unit in _FEMININE:
        return f"une {unit}"
    return f"{number} {unit if _is_single(number) else _plural(unit)}"


def _long_form(match: re.Match[str]) -> str:
    is_short = match[0].endswith(".")
    return _ANYWHERE[match[0]] + ("." if is_short and ends_sentence(match, _SENTENCE_STARTS) else "")


def _numeral(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    return match[0] if value is None else f"{match.groupdict().get('before') or ''}{value}"


def _roman_ordinal(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    return match[0] if value is None else _ordinal(value)


def _written_ordinal(match: re.Match[str]) -> str:
    number, plural = int(match["number"]), match["plural"]
    if match["ending"] in ("re", "ère"):
        word = "première"
    elif match["ending"] in ("nd", "nde", "de"):
        word = "second" if match["ending"] == "nd" else "seconde"
    else:
        word = _ordinal(number)
    return word + plural


def _date(match: re.Match[str]) -> str:
    day, month, years = int(match["day"]), int(match["month"]), match["year"]
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match[0]
    return f"{'premier' if day == 1 else day} {_MONTHS[month - 1]} {int(years)}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), match["minute"]
    if hour > 24:
        return match[0]
    words = {0: "zéro heure", 1: "une heure", 21: "vingt et une heures"}.get(hour, f"{hour} heures")
    return words + (f" {int(minute)}" if minute and minute != "00" else "")


def _fraction(match: re.Match[str]) -> str:
    top, bottom, whole = int(match["top"]), int(match["bottom"]), match["whole"]
    before = f"{whole} " if whole else ""
    if f"{top}/{bottom}" in _ALWAYS_PAIRS or not 0 < top < bottom:
        return f"{before}{top} sur {bottom}"
    if bottom == 2 and whole:
        return f"{whole} et demi"
    part = _PARTS.get(bottom) or _ordinal(bottom)
    words = f"{'un' if top == 1 else num2words(top, lang='fr')} {part if top == 1 else _plural(part)}"
    return f"{whole} et {words}" if whole else words


def _day_and_month(match: re.Match[str]) -> str:
    """Return `24/12` after an article as a date, where it is one."""
    day, month = int(match["day"]), int(match["month"])
    if not (1 <= month <= 12 and month < day <= 31):
        return match[0]
    return f"{day} {_MONTHS[month - 1]}"


def _with_half(match: re.Match[str]) -> str:
    noun = match["noun"]
    number = "une" if match["whole"] == "1" and noun in _COUNTED_FEMININE else match["whole"]
    return f"{number} {noun}{match['plural']} et demi{'e' if noun in _COUNTED_FEMININE else ''}"


def _freephone(match: re.Match[str]) -> str:
    return " ".join(num2words(int(group), lang="fr") for group in match[0].split())


def _measure(match: re.Match[str]) -> str:
    words = _counted(match["number"], _UNITS[match["unit"]])
    if match["power"]:
        words += (" carré" if match["power"] == "2" else " cube") + ("" if _is_single(match["number"]) else "s")
    if not match["per"]:
        return words
    power = {"2": " carré", "3": " cube"}.get(match["per_power"] or "", "")
    return f"{words} par {_PER[match['per']]}{power}"


def _verse(match: re.Match[str]) -> str:
    last = f" à {match['last']}" if match["last"] else ""
    return f"{_BOOKS.get(match['book'], match['book'])} {match['chapter']}, {match['verse']}{last}"


def _spoons(match: re.Match[str]) -> str:
    """Return `2 c. à s.` as tablespoons, `1 c. à c.` as a teaspoon."""
    number = "une" if match[1] == "1" else match[1]
    return f"{number} cuillère{'' if number == 'une' else 's'} à {'soupe' if match[2] == 's' else 'café'}"


def _money(match: re.Match[str]) -> str:
    per = f" par {_PER[match['per']]}" if match["per"] else ""
    return _amount(match["number"], (match["scale"] or "").strip(), _CURRENCIES[match["sign"]]) + per


def _amount(number: str, scale: str, unit: str) -> str:
    whole, _, part = number.partition(",")
    if scale in ("k", "K"):
        return f"{number} mille {_plural(unit)}"
    if scale:
        of = "d'" if unit == "euro" else "de "
        return f"{_counted(number, _SCALES.get(scale, scale.removesuffix('s')))} {of}{_plural(unit)}"
    if len(part) != 2:
        return _counted(number, unit)
    if whole == "0" and unit == "euro":
        return f"{int(part)} centime{'' if int(part) == 1 else 's'}"
    return _counted(whole, unit) + ("" if part == "00" else f" {int(part)}")


_DAY = any_of(_SHORT_DAYS)
_BOOK = any_of((*_BOOKS, *_BOOKS.values(), "Psaumes"))
_NAMES: tuple[Rule, ...] = (
    addresses(
        "arobase, point, slash, deux points, point d'interrogation, égale, et, dièse, tiret bas, tiret",
        "fr|be|ch|ca|uk",
    ),
    (
        re.compile(
            rf"\b(?P<book>{_BOOK})\.? (?P<chapter>\d{{1,3}})[:,] ?(?P<verse>\d{{1,3}})"
            rf"(?: ?[-—] ?(?P<last>\d{{1,3}}))?(?!\d|[.,]\d| ?(?:{any_of((*_UNITS, *_CURRENCIES))})(?!\w))"
        ),
        _verse,
    ),
    (re.compile(r"(?<![\w.,])(\d{1,3}) ?c(?:\. ?)?à(?:\. ?)? ?([sc])\b\.?"), _spoons),
    (re.compile(r"\bCie\b"), "Compagnie"),
    (re.compile(r"\bSté\b"), "Société"),
    (re.compile(r"\bet suiv\."), "et suivantes"),
    (re.compile(r"\bex\.(?= ?:)"), "exemple"),
    (re.compile(rf"\b({_DAY})\.? ?[-—] ?({_DAY})\b\.?"), lambda m: f"{_SHORT_DAYS[m[1]]} à {_SHORT_DAYS[m[2]]}"),
    (re.compile(r"(?<=[IVX]e) s\.(?= [a-zà-ÿ]|[,;:])"), " siècle"),
    (re.compile(r"(?<=[IVX]e) s\."), " siècle."),
    (re.compile(rf"(?<![\w.])(?:{any_of(_ANYWHERE)})(?!\w)"), _long_form),
    (re.compile(rf"(?<![\w.])({any_of(_BEFORE_NAMES)})\.?(?= [A-ZÀ-Ý])"), lambda m: _BEFORE_NAMES[m[1]]),
    (re.compile(r"\bM\.(?= et M)"), "Monsieur"),
    (re.compile(r"\bpl\. (?=[A-ZÀ-Ýd])"), "place "),
    (re.compile(r"(?<=\b[lLdD]')((?:[A-Z]\.){2,10})(?!\w)"), lambda m: " ".join(m[1].replace(".", ""))),
    (re.compile(r"\b(?:Mme|Mlle)s?\b\.?"), lambda m: _BEFORE_NAMES[m[0].rstrip(".")]),
    (re.compile(r"\bSt(e?)\.?[ -](?=[A-ZÀ-Ý])"), r"Saint\1 "),
    (re.compile(r"\b([Aa])v\. (?=[A-ZÀ-Ýd])"), r"\1venue "),
    (re.compile(r"\b([Bb])(?:d|oul\.) (?=[A-ZÀ-Ýd])"), r"\1oulevard "),
    (re.compile(r"\b(?P<roman>[IVX]{1,6})(?:e|ème|ᵉ|è)s?(?= |$|[,.;:!?)]|[-—][IVX]{1,6}e)"), _roman_ordinal),
    (re.compile(r"\bIer\b"), "premier"),
    (re.compile(r"\b(?:Ire|Ière)\b"), "première"),
    (re.compile(rf"\b(?P<before>(?:{any_of(_RULERS)}|(?i:{any_of(_HEADINGS)})) )(?P<roman>[IVXLC]{{1,7}})\b(?!')"),
     _numeral),
    (re.compile(r"(?<![\w'.-])(?P<roman>[IVXL]{2,6})(?![\w'-]|\.\w)"), _numeral),
    *separate_letters(_SENTENCE_STARTS),
)  # fmt: skip
_NUMBERS: tuple[Rule, ...] = (
    (
        re.compile(r"(?<![\w.,])(\d{1,2}) ?h ?1[/⁄]2\b"),
        lambda m: f"{'une heure' if m[1] == '1' else m[1] + ' heures'} et demie",
    ),
    (re.compile(r"(?<![\w.,])(\d{1,2})' ?(\d{2})\""), lambda m: f"{_counted(m[1], 'minute')} {m[2]}"),
    (re.compile(rf"(?<![\w.])((?i:{any_of(_BEFORE_NUMBERS)})) ?(?=\d)"), lambda m: f"{_BEFORE_NUMBERS[m[1].lower()]} "),
    (re.compile(r"(?<![\d.,])0\d(?:[ .-]\d\d){4}(?![\d-]|\.\d)"), lambda m: re.sub(r"\D", " ", m[0])),
    (re.compile(r"(?<![\d.,])0(?: \d{3}){3}(?!\d| \d)"), _freephone),
    (re.compile(r"\+(?=\d{1,3}(?: \d{1,4}){3,6})"), "plus "),
    (re.compile(rf"\b({_DAY})\.(?= (?:\d|au |et ))"), lambda m: _SHORT_DAYS[m[1]]),
    (re.compile(rf"(?<=\d )({any_of(_SHORT_MONTHS)})\b\.?"), lambda m: _SHORT_MONTHS[m[1]]),
    (re.compile(rf"(?<=\b[dD]u )(\d{{1,2}})[-—](?=\d{{1,2}} (?:{any_of(_MONTHS)})\b)"), r"\1 au "),
    (re.compile(r"(?<=\b(?:[Ll]e|[Dd]u|au) )(?P<day>\d{1,2})/(?P<month>\d{1,2})(?![\d/])"), _day_and_month),
    (
        re.compile(rf"(?<![\w.,/])(?P<whole>\d{{1,3}}) 1[/⁄]2 (?P<noun>{any_of(_WITH_HALVES)})(?P<plural>s?)\b"),
        _with_half,
    ),
    (re.compile(rf"(?<![\w.,/-])1(?= (?:{any_of(_COUNTED_FEMININE)})\b)"), "une"),
    (re.compile(rf"(?<![\w.,/-])([2-6])1(?= (?:{any_of(_COUNTED_FEMININE)})s?\b)"), lambda m: f"{_TENS[m[1]]} et une"),
    (re.compile(r"(?<![\w.,])(\d{1,2}) ?m ?(?=\d\d\b)"), lambda m: f"{_counted(m[1], 'mètre')} "),
    (
        re.compile(r"(?<![\w.,])(\d{1,2}) ?(?:min|mn) ?([0-5]\d)(?: ?s)?\b"),
        lambda m: f"{_counted(m[1], 'minute')} {m[2]}",
    ),
    (re.compile(r"(?<=\d) ?CHF\b"), " francs suisses"),
    (re.compile(r"(?<=\d) F(?=[ ,.;!?]|$)"), " francs"),
    (re.compile(r"(?<![\w/.-])(?P<day>\d{1,2})([/.])(?P<month>\d{1,2})\2(?P<year>\d{4}|\d\d)(?![\w/-]|\.\d)"), _date),
    (re.compile(r"(?<![\w/.-])(?P<year>[12]\d{3})-(?P<month>\d{2})-(?P<day>\d{2})(?![\w-])"), _date),
    (re.compile(rf"(?<![\w.,])1(?= (?:{any_of(_MONTHS)})\b)"), "premier"),
    (
        re.compile(r"(?<![\w.,])(?P<number>\d{1,4})(?P<ending>er|ère|re|nde|nd|de|ème|eme|è|e)(?P<plural>s?)\b"),
        _written_ordinal,
    ),
    (re.compile(r"(?<=\d) ?[hH](\d\d)? ?[-—] ?(?=\d{1,2} ?[hH])"), r"h\1 à "),
    (re.compile(r"(?<=\d) ?j ?/ ?7\b"), " jours sur 7"),
    (re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,5}(?![.,]?\d)"), lambda m: m[0].replace(".", " ")),
    (re.compile(r"(?<![\d/.,:])(?P<hour>[01]?\d|2[0-4]) ?[hH](?: ?(?P<minute>[0-5]\d))?\b"), _time),
    (re.compile(r"(?<![\w.,:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\w:])"), _time),
    (re.compile(r"(?<=heures)/(?=24)"), " sur "),
    (re.compile(r"(?<=\d):(?=\d)"), " pour "),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(r"\bEUR ?(?=\d)|(?<=\d) ?EUR\b"), "€"),
    (re.compile(rf"(?P<sign>[€$£¥]) ?{_START}(?P<number>{_NUMBER})(?P<scale> (?:million|milliard)s?\b)?"
                rf"(?:/(?P<per>{any_of(_PER)})\b)?"), _money),
    (
        re.compile(
            rf"{_START}(?P<number>{_NUMBER})(?P<scale> ?(?:Mds?|M|k|K)| (?:million|milliard)s?)? ?(?P<sign>[€$£¥])"
            rf"(?:/(?P<per>{any_of(_PER)})\b)?"
        ),
        _money,
    ),
    (re.compile(rf"(?<![\w.,-])(?P<low>{_NUMBER})[-—](?P<high>{_NUMBER})(?![\d-]|[.,]\d)"), r"\g<low> à \g<high>"),
    (
        re.compile(
            rf"{_START}(?P<number>{_NUMBER}) ?(?P<unit>{any_of(_UNITS)})(?:\^?(?P<power>[23]))?"
            rf"(?:/(?P<per>{any_of(_PER)})(?:\^?(?P<per_power>[23]))?)?(?![\w^'])(?:\.(?= [a-zà-ÿ]|[,;:]))?"
        ),
        _measure,
    ),
)  # fmt: skip
_SIGNS: tuple[Rule, ...] = (
    *tags("arobase ", "hashtag "),
    *minutes_of_arc(" degrés ", " minutes ", " secondes"),
    (re.compile(r"√ ?(?=\w)"), "racine carrée de "),
    (re.compile(r" ?∞ ?"), " infini "),
    (re.compile(r" ?≤ ?"), " au plus "),
    (re.compile(r" ?≥ ?"), " au moins "),
    (re.compile(r" ?≠ ?"), " différent de "),
    (re.compile(r"(?<=\d) / (?=\d{1,9} =)"), " divisé par "),
    (re.compile(r"(?<![\w)])- ?(?=\d)|(?<=\d) [—-] (?=\d{1,15} =)"), " moins "),
    (re.compile(r" ?& ?"), " et "),
    (re.compile(r" ?\+ ?(?=\w)"), " plus "),
    (re.compile(r" ?= ?"), " égale "),
    (re.compile(r" ?× ?|(?<=\d) ?[*x] ?(?=\d)"), " fois "),
    (re.compile(r"(?<=\d) ?x(?!\w)"), " fois"),
    (re.compile(r" ?÷ ?"), " divisé par "),
    (re.compile(r"± ?"), "plus ou moins "),
    (re.compile(r" ?≈ ?| ?~ ?(?=\d)"), " environ "),
    (re.compile(r" ?< ?(?=\d)"), " inférieur à "),
    (re.compile(r" ?> ?(?=\d)"), " supérieur à "),
    (re.compile(r"\^2(?!\d)"), " au carré"),
    (re.compile(r"\^(?=\d)"), " puissance "),
    (re.compile(r"§+ ?"), "paragraphe "),
    (re.compile(r"#(?=\d)"), "numéro "),
    (re.compile(r"(?<=\w)/(?=\w)"), " "),
    (re.compile(r"[*_|\\]+"), " "),
    greek(
        "alpha bêta gamma delta epsilon zêta êta thêta iota kappa lambda mu nu xi omicron pi rhô sigma tau upsilon phi "
        "khi psi oméga"
    ),
    DOT_BEFORE_MARK,
    (re.compile(r" {2,}"), " "),
)


def verbalise(text: str) -> str:
    """Return `text` with written forms in words; numbers that espeak-ng reads rightly stay as they are."""
    text = rewrite(text, _NAMES)
    if any(character.isdecimal() for character in text):
        text = rewrite(text, _NUMBERS)
    return rewrite(text, _SIGNS).strip()
