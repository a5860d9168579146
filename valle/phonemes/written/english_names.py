"""English abbreviations, initials, Roman numerals and Internet addresses in words."""

import re

from valle.phonemes.written.rules import URL_PATH, Rule, any_of, roman_value
from valle.phonemes.written.signs import tags
from valle.text.spoken_numbers import cardinal, ordinal

# fmt: off
_BEFORE_NAMES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "Rev": "Reverend", "Hon": "Honorable",
    "Sgt": "Sergeant", "Lt": "Lieutenant", "Capt": "Captain", "Cpl": "Corporal", "Pvt": "Private", "Col": "Colonel",
    "Maj": "Major", "Gen": "General", "Adm": "Admiral", "Cmdr": "Commander", "Gov": "Governor", "Sen": "Senator",
    "Rep": "Representative", "Pres": "President", "Supt": "Superintendent", "Mt": "Mount", "Ft": "Fort",
    "Messrs": "Messers",
}
_AFTER_NAMES = {
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Hwy": "Highway", "Pkwy": "Parkway",
    "Sq": "Square", "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Corp": "Corporation", "Ltd": "Limited",
    "Co": "Company", "Bros": "Brothers",
}
_ALSO_WITHOUT_DOT = {
    "Mr", "Mrs", "Ms", "Prof", "Sgt", "Lt", "Capt", "Cpl", "Gen", "Mt", "Ft", "Ave", "Blvd", "Rd", "Hwy", "Pkwy", "Jr",
    "Sr",
}
_ANYWHERE = {
    "vs.": "versus", "e.g.": "for example", "i.e.": "that is", "approx.": "approximately", "dept.": "department",
    "est.": "established", "govt.": "government", "incl.": "including", "misc.": "miscellaneous", "max.": "maximum",
    "min.": "minimum", "Dept.": "Department", "Univ.": "University", "b/c": "because", "w/o": "without",
    "w/": "with", "Ph.D.": "P H D", "viz.": "namely",
}
_BEFORE_NUMBERS = {
    "no": "number", "nos": "numbers", "vol": "volume", "vols": "volumes", "ch": "chapter", "chap": "chapter",
    "fig": "figure", "figs": "figures", "p": "page", "pp": "pages", "sec": "section", "art": "article", "pt": "part",
    "ca": "circa", "ext": "extension", "apt": "apartment", "eq": "equation",
}
# Short names of books before a chapter and a verse: `1 Cor. 13:4`.
_BOOKS = {
    "Gen": "Genesis", "Ex": "Exodus", "Exod": "Exodus", "Lev": "Leviticus", "Num": "Numbers", "Deut": "Deuteronomy",
    "Josh": "Joshua", "Judg": "Judges", "Sam": "Samuel", "Chron": "Chronicles", "Ps": "Psalm", "Prov": "Proverbs",
    "Eccl": "Ecclesiastes", "Isa": "Isaiah", "Jer": "Jeremiah", "Ezek": "Ezekiel", "Dan": "Daniel", "Hos": "Hosea",
    "Mic": "Micah", "Mal": "Malachi", "Matt": "Matthew", "Mk": "Mark", "Lk": "Luke", "Jn": "John", "Rom": "Romans",
    "Cor": "Corinthians", "Gal": "Galatians", "Eph": "Ephesians", "Phil": "Philippians", "Col": "Colossians",
    "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews", "Jas": "James", "Pet": "Peter", "Rev": "Revelation",
}
_MONTHS = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}
_SAINTS = {
    "Andrew", "Andrews", "Albans", "Augustine", "Catherine", "Clair", "Clement", "Croix", "Francis", "George",
    "Helena", "Helens", "Ives", "James", "John", "Johns", "Joseph", "Kitts", "Lawrence", "Louis", "Lucia", "Lucie",
    "Luke", "Martin", "Mary", "Matthew", "Michael", "Moritz", "Nicholas", "Nick", "Pancras", "Patrick", "Paul",
    "Peter", "Petersburg", "Stephen", "Teresa", "Thomas", "Tropez", "Vincent",
}
_RULERS = (
    "Abbas", "Abdullah", "Adrian", "Alexander", "Alfonso", "Amenhotep", "Antiochus", "Artaxerxes", "Baldwin", "Basil",
    "Benedict", "Boniface", "Carlos", "Catherine", "Charles", "Christian", "Clement", "Cleopatra", "Conrad",
    "Constantine", "Cyrus", "Darius", "David", "Edward", "Elizabeth", "Emmanuel", "Ferdinand", "Francis", "Franz",
    "Frederick", "Friedrich", "George", "Gregory", "Gustav", "Haakon", "Harald", "Hassan", "Henri", "Henry", "Innocent",
    "Ivan", "James", "John", "Joseph", "Juan", "Julius", "Justinian", "Karl", "Leo", "Leopold", "Louis", "Ludwig",
    "Margaret", "Mary", "Maximilian", "Mehmed", "Mohammed", "Murad", "Napoleon", "Nicholas", "Olaf", "Oscar", "Otto",
    "Paul", "Pedro", "Peter", "Philip", "Pius", "Ptolemy", "Rama", "Ramesses", "Ramses", "Richard", "Robert", "Rudolf",
    "Selim", "Sixtus", "Stephen", "Suleiman", "Theodosius", "Thutmose", "Umberto", "Urban", "Victoria", "Wilhelm",
    "William", "Xerxes",
)
_HEADINGS = (
    "World War", "Chapter", "Part", "Book", "Volume", "Act", "Scene", "Section", "Article", "Appendix", "Phase", "Type",
    "Class", "Stage", "Title", "Level", "Super Bowl", "Mark", "Canto", "Psalm", "Table", "Figure", "Apollo", "Episode",
)
# fmt: on
# Capitals that are more often sizes, names or abbreviations than numerals.
_NO_NUMERALS = {"XL", "XX", "XXX", "LI", "LIV", "LV", "VI"}
_SENTENCE_STARTS = {
    "A",
    "After",
    "All",
    "An",
    "And",
    "As",
    "At",
    "But",
    "For",
    "From",
    "He",
    "His",
    "How",
    "I",
    "If",
    "In",
    "It",
    "Its",
    "My",
    "No",
    "Now",
    "Of",
    "On",
    "Or",
    "Our",
    "She",
    "So",
    "That",
    "The",
    "Then",
    "There",
    "They",
    "This",
    "To",
    "We",
    "What",
    "When",
    "Where",
    "Who",
    "Why",
    "With",
    "Yes",
    "You",
    "Your",
}
_NO_STREETS = _SENTENCE_STARTS | {"Lake", "Port", "Mount"}

_DOMAINS = "com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|uk|us|eu|de|fr|ca|au|jp|kr|cn|tv"
_FILES = "js|py|md|txt|csv|json|xml|html|pdf|docx|xlsx|jpg|png|gif|mp3|mp4|wav|flac|zip|exe|sh|cpp"
_HOST = r"(?:[A-Za-z0-9-]{1,63}\.){1,4}"
_SPOKEN_MARKS = {
    ".": "dot", "@": "at", "/": "slash", "_": "underscore", "-": "dash", "+": "plus", ":": "colon",
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", "%": "percent", "~": "tilde",
}  # fmt: skip
_PARTS = re.compile(r"\w+|\W")
_WORD_BEFORE = re.compile(r"[\w'&]+,?(?= $)")
_WORD_AFTER = re.compile(r" ([\w']+)")
_CONTEXT = 40


def _address(match: re.Match[str]) -> str:
    return " ".join(_SPOKEN_MARKS.get(part, part) for part in _PARTS.findall(match["address"].rstrip("/")))


def _before(match: re.Match[str]) -> str:
    """Return the word before a match, with the comma after it, or nothing."""
    found = _WORD_BEFORE.search(match.string, max(0, match.start() - _CONTEXT), match.start())
    return found[0] if found else ""


def _after(match: re.Match[str]) -> str:
    """Return the word after a match, or nothing."""
    found = _WORD_AFTER.match(match.string, match.end(), match.end() + _CONTEXT)
    return found[1] if found else ""


def _end(match: re.Match[str]) -> str:
    """Return the full stop of an abbreviation that probably ends a sentence: the next word starts like one."""
    if match.string[match.end() : match.end() + 1] in (",", ";", ":", "?", "!"):
        return ""
    return match["dot"] if not _after(match) or _after(match) in _SENTENCE_STARTS else ""


def _place_or_title(match: re.Match[str]) -> str:
    """Return Saint or Street, Doctor or Drive: a street has its name before it."""
    before, after = _before(match), _after(match)
    is_named = (before[:1].isupper() and before[-1] != "," and before not in _NO_STREETS) or re.fullmatch(
        r"\d+(?:st|nd|rd|th)", before
    )
    title, place = ("Saint", "Street") if match["short"] == "St" else ("Doctor", "Drive")
    is_title = re.sub("'s?$", "", after) in _SAINTS if title == "Saint" else after[:1].isupper()
    if is_named and not is_title:
        return place + _end(match)
    return title if after[:1].isupper() else match[0]


def _of_a_name(match: re.Match[str]) -> str:
    short = match["short"]
    if not match["dot"] and short not in _ALSO_WITHOUT_DOT:
        return match[0]
    if short in ("Mr", "Mrs", "Messrs"):
        return _BEFORE_NAMES[short]
    if short in _BEFORE_NAMES:
        return _BEFORE_NAMES[short] if _after(match)[:1].isupper() else match[0]
    return _AFTER_NAMES[short] + _end(match) if _before(match) else match[0]


def _letters(match: re.Match[str]) -> str:
    """Return single letters; their last dot remains at the end of the text, and for hours before a capital."""
    letters = " ".join(match["letters"].replace(".", ""))
    after = _after(match)
    if match.string[match.end() : match.end() + 1] in tuple(",;:?!-—/)"):
        return letters
    ends_clock = letters.lower() in ("a m", "p m") and after[:1].isupper() and not _AFTER_CLOCK.match(after)
    return letters + ("." if not after or ends_clock else "")


def _verse(match: re.Match[str]) -> str:
    """Return `1 Cor. 13:4-7` as `First Corinthians 13 4 to 7`."""
    number = f"{ordinal(int(match['number'])).capitalize()} " if match["number"] else ""
    last = f" to {match['last']}" if match["last"] else ""
    return f"{number}{_BOOKS.get(match['book'], match['book'])} {match['chapter']} {match['verse']}{last}"


def _ruler(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    return match[0] if value is None else f"{match['name']} the {ordinal(value)}"


def _numeral(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    if value is None or (match["heading"] is None and match["roman"] in _NO_NUMERALS):
        return match[0]
    return (match["heading"] or "") + cardinal(value)


def _ordinal_numeral(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    return match[0] if value is None else ordinal(value)


# Words in capitals that come after `5 p.m.` in the same sentence.
_AFTER_CLOCK = re.compile(
    rf"(?:[A-Z]{{1,3}}T|GMT|UTC|Eastern|Pacific|Central|Mountain|May"
    rf"|{any_of((*_DAYS, *_DAYS.values(), *_MONTHS, *_MONTHS.values()))})\b"
)
_BOOK = any_of((*_BOOKS, *_BOOKS.values(), "Kings", "Psalms", "Acts"))
_NAME = any_of((*_BEFORE_NAMES, *_AFTER_NAMES))

ADDRESSES: tuple[Rule, ...] = (
    (re.compile(rf"\b(?P<address>[\w.+-]{{1,64}}@{_HOST}[A-Za-z]{{2,20}})\b"), _address),
    (re.compile(rf"\bhttps?://(?P<address>{_HOST}[A-Za-z]{{2,20}}{URL_PATH})/?"), _address),
    (re.compile(rf"(?<![\w.@-])(?P<address>{_HOST}(?:{_DOMAINS}){URL_PATH})/?(?![\w@]|\.\w)"), _address),
)
NAMES: tuple[Rule, ...] = (
    *tags("at ", "hashtag "),
    (
        re.compile(
            rf"(?:\b(?P<number>[123]) )?\b(?P<book>{_BOOK})\.? (?P<chapter>\d{{1,3}}):(?P<verse>\d{{1,3}})"
            r"(?:[-—](?P<last>\d{1,3}))?(?![\d:]|[.,]\d| ?[AaPp]\.?[Mm]\b)"
        ),
        _verse,
    ),
    # After a number `min.` is minutes.
    (re.compile(rf"(?<![\w.])(?<!\d )(?:{any_of(_ANYWHERE)})(?!\w)"), lambda m: _ANYWHERE[m[0]]),
    (re.compile(r"\bet al\b(?P<dot>\.?)"), lambda m: f"et al{_end(m)}"),
    (re.compile(r"(?<=\d(?:st|nd|rd|th)) c\.(?= [a-z])"), " century"),
    (re.compile(r"(?<![\w.])([bd])\. (?=(?:1\d|20)\d\d\b)"), lambda m: "born " if m[1] == "b" else "died "),
    (re.compile(r"\betc\b(?P<dot>\.?)"), lambda m: f"et cetera{_end(m)}"),
    (re.compile(r"(?<=\d) ?([mkr])\.p\.([hm])\b(?P<dot>\.?)"), lambda m: f" {m[1]}p{m[2]}{_end(m)}"),
    (re.compile(r"\bvs\b"), "versus"),
    (
        re.compile(rf"\b({any_of(_DAYS)})\.? ?[-—] ?({any_of(_DAYS)})\b(?:\.(?= \d))?"),
        lambda m: f"{_DAYS[m[1]]} to {_DAYS[m[2]]}",
    ),
    (re.compile(rf"\b({any_of(_MONTHS)})[-—]({any_of(_MONTHS)})\b"), lambda m: f"{_MONTHS[m[1]]} to {_MONTHS[m[2]]}"),
    (re.compile(r"(?<=\w)\+\+"), " plus plus"),
    (re.compile(rf"(?<=\w)\.(?=(?:{_FILES})\b(?!\.\w))"), " dot "),
    (re.compile(r"(?<![\w.°])c\. ?(?=\d{3,4}\b)"), "circa "),
    (re.compile(r"\bWW(?=I{1,2}\b)"), "World War "),
    (re.compile(r"\b(?P<short>St|Dr)\b(?P<dot>\.?)"), _place_or_title),
    (re.compile(rf"\b(?P<short>{_NAME})\b(?P<dot>\.?)"), _of_a_name),
    (
        re.compile(rf"(?<![\w°])(?P<short>(?i:{any_of(_BEFORE_NUMBERS)}))\. ?(?=#?\d|[IVX]{{1,5}}\b)"),
        lambda m: f"{_BEFORE_NUMBERS[m['short'].lower()]} ",
    ),
    (re.compile(rf"\b({any_of(_MONTHS)})\b\.?(?=,? \d)"), lambda m: _MONTHS[m[1]]),
    (re.compile(rf"\b({any_of(_DAYS)})(?:\.,?(?= [A-Z\d])|(?=, (?:[A-Z][a-z]{{2,8}} )?\d))"), lambda m: _DAYS[m[1]]),
    (re.compile(r"(?<![\w.'])(?P<letters>(?:[A-Za-z]\.){2,10})(?!\w)"), _letters),
)
ROMAN_NUMERALS: tuple[Rule, ...] = (
    (re.compile(rf"\b(?P<heading>(?i:{any_of(_HEADINGS)}) )(?P<roman>[IVXLC]{{1,7}})\b(?!')"), _numeral),
    (re.compile(rf"\b(?P<name>{any_of(_RULERS)}) (?P<roman>[IVX]{{2,7}}|[VX])\b"), _ruler),
    # "I" after a name is mostly a pronoun.
    (
        re.compile(
            rf"\b(?P<name>{any_of(_RULERS)}) (?P<roman>I)\b(?='s|[,.;:!?)]|$| (?:of|was|and the|died|ruled|became)\b)"
        ),
        _ruler,
    ),
    (re.compile(r"\b(?P<roman>[IVX]{1,7})(?:(?:st|nd|rd|th)\b|(?= [Cc]entur))"), _ordinal_numeral),
    (re.compile(r"(?<![\w'.-])(?P<heading>(?!))?(?P<roman>[IVXL]{2,7})(?![\w'-]|\.\w)"), _numeral),
)
INITIALS: tuple[Rule, ...] = (
    # Initials: J. R. R. Tolkien, George W. Bush.
    (
        re.compile(rf"(?<![\w'])(?!I\.)([A-Z])\.(?= (?:[A-Z]\.|[A-Z][a-z]))(?! (?:{any_of(_SENTENCE_STARTS)})\b)"),
        r"\1",
    ),
)
