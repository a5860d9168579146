"""Split a text into pieces that are synthesized at a time: sentences, and spans of sentences that are too long.

Pieces are slices of the text: only the white space between them is lost. An uncertain end (an abbreviation, an initial,
an ordinal number) does not split, because two sentences in one piece do less harm than half a sentence.
"""

import bisect
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from valle.synthesis.options import LONGEST_PIECE, LongFormOptions
from warehouse.errors import ConfigurationError

# Latin letters as long, when spoken, as one Chinese, Japanese or Korean character.
_WIDE_CHARACTER = 3
_LOOK_AHEAD = 100
_LOOK_BEHIND = 100
_CLOSERS = "\"'”’“‘»«›‹」』）)］]】〉》"
_END = re.compile(rf"(?P<wide>[。．！？｡]+)|(?P<mark>[.!?…]+)(?P<closers>[{re.escape(_CLOSERS)}]*)(?=\s|$)")
_PARAGRAPH = re.compile(r"\n\s*\n\s*")
_QUOTES: Mapping[str, str] = MappingProxyType(
    {'"': '"', "“": "”", "「": "」", "『": "』", "（": "）", "(": ")", "《": "》"}
)
_QUOTES_OF: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"de": {'"': '"', "„": "“”", "»": "«", "(": ")"}, "fr": {'"': '"', "“": "”", "«": "»", "(": ")"}}
)
# Continuations of the sentence around a quotation.
_GOES_ON = ("と", "って", "、", "，", ",", "고", "라고", "하고", "라는")

_ABBREVIATIONS: Mapping[str, str] = MappingProxyType(
    {
        "en": "mr mrs ms dr prof st sr jr rev gen col capt lt sgt hon gov sen rep messrs mt ft vs cf al",
        "de": "hr fr frl dr prof st bzw ca evtl ggf inkl exkl usf vgl sog zzgl abs bspw geb gest ing dipl hrsg str z",
        "fr": "m mm mme mmes mlle mlles dr me mgr st ste cf env",
    }
)
_BEFORE_NUMBERS = "no nos nr vol fig abb art p pp s chap ch sec sect kap bd tel nº n°"
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“”„«»‘’]*$")
# Breaks at which a piece that is too long is cut, best first; a mark belongs to the text before it.
_BREAKS = (
    re.compile(r"[;:—–](?=\s)|[；：—–]"),
    re.compile(r",(?=\s)|[、，､]"),
    re.compile(r"\s"),
)
_IN_NUMBERS = "，．："
_NOT_SPACE = re.compile(r"\S")


def spoken_length(text: str) -> int:
    """Return the spoken length of a text in Latin letters; a wide character counts as several."""
    return sum(_WIDE_CHARACTER if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def split_sentences(text: str, language: str = "en", *, max_characters: int = 200) -> list[str]:
    """Split a text into its sentences, in order and without the white space around them.

    A quotation stays in one piece, an empty line always ends a sentence, and a piece without a letter or digit joins
    its neighbour. A piece longer than `max_characters` (as `spoken_length` counts) is cut at the best of a colon, a
    comma, a space or, at last, anywhere. The concatenated pieces equal the text, white space aside.
    """
    pieces = []
    for paragraph in _PARAGRAPH.split(text):
        sentences = _slices(paragraph, [*_ends(paragraph, language, max_characters)])
        pieces += _with_their_marks(paragraph, sentences)
    return [span for piece in pieces for span in _shortened(piece, max_characters)]


def split_pieces(text: str, language: str, options: LongFormOptions) -> list[str]:
    """Split a text as the options demand; pieces without a letter or digit, such as a row of stars, are left out.

    Raises ConfigurationError for a text that is not Unicode, and for a whole text that is too long to be one piece.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        # A byte that is not UTF-8 in an argument of the process arrives as a lone surrogate.
        raise ConfigurationError(f"Character {error.start + 1} of the text is no Unicode; give UTF-8 text.") from error
    match options.split:
        case "sentences":
            pieces = split_sentences(text, language, max_characters=options.max_characters)
        case "lines":
            pieces = split_lines(text, max_characters=options.max_characters)
        case "none":
            pieces = [text.strip()]
            if spoken_length(pieces[0]) > LONGEST_PIECE:
                raise ConfigurationError(
                    f"The text has {len(pieces[0]):,} characters, and at most {LONGEST_PIECE:,} are spoken as one "
                    "piece; set long_form.split to sentences."
                )
    return [piece for piece in pieces if has_word(piece)]


def split_lines(text: str, *, max_characters: int = 200) -> list[str]:
    """Split a text into its lines that are not blank; long ones are cut as by `split_sentences`."""
    return [span for line in text.splitlines() if line.strip() for span in _shortened(line.strip(), max_characters)]


def _slices(text: str, ends: Sequence[int]) -> list[tuple[int, int]]:
    bounds = [0, *ends, len(text)]
    return [(begin, end) for begin, end in itertools.pairwise(bounds) if text[begin:end].strip()]


def _with_their_marks(text: str, slices: Sequence[tuple[int, int]]) -> list[str]:
    """Return the slices as text; a slice without a word joins its neighbour."""
    joined: list[tuple[int, int]] = []
    for begin, end in slices:
        # "..." or a closing quote alone is no sentence, but it belongs to the text of one.
        if joined and not (has_word(text[begin:end]) and has_word(text[slice(*joined[-1])])):
            joined[-1] = joined[-1][0], end
        else:
            joined.append((begin, end))
    return [text[begin:end].strip() for begin, end in joined]


def has_word(text: str) -> bool:
    """Return whether a text has a letter or a digit; marks alone are not spoken."""
    return any(character.isalnum() for character in text)


def _ends(text: str, language: str, max_characters: int) -> Iterator[int]:
    """Yield the ends of sentences, in order."""
    quoted = _quotations(text, language, max_characters)
    begin = 0
    for found in _END.finditer(text):
        end = found.end()
        nearest = bisect.bisect_left(quoted, (found.start(), 0)) - 1
        if nearest >= 0 and found.start() < quoted[nearest][1]:
            inside = quoted[nearest]
            # A quotation ends its sentence only if a mark precedes the closing quote directly.
            if text[end - len(found["closers"] or "") : inside[1]].strip(_CLOSERS + " \u202f\u00a0"):
                continue
            end = max(end, inside[1] + 1)
        if end > begin and _is_end(text, begin, found, end, language):
            yield end
            begin = end


def _is_end(text: str, begin: int, found: re.Match[str], end: int, language: str) -> bool:
    rest = text[end : end + _LOOK_AHEAD]
    following = rest.lstrip().lstrip("\"'“„«»‘(「『（[-–—¿¡ \u00a0")
    if found["wide"]:
        # The full-width full stop is the decimal point of full-width digits.
        if found["wide"] == "．" and text[end : end + 1].isdigit():
            return False
        return not (end > found.end() and rest.startswith(_GOES_ON))
    if end > found.end() and (not rest[:1].isspace() or rest.startswith(_GOES_ON)):
        return not rest
    # Sentences of all six languages begin with a capital or without case: after "e.g. this" the sentence continues.
    if following[:1].islower():
        return False
    # A sentence that never ends would be looked through again at each of its marks without this bound.
    before = text[max(begin, found.start() - _LOOK_BEHIND) : found.start()]
    return found["mark"] != "." or not _is_short(before, following, language)


def _is_short(before: str, following: str, language: str) -> bool:
    """Return whether a full stop belongs to the word before it: an abbreviation, an initial or a number."""
    matched = _WORD_BEFORE.search(before)
    word = matched[0] if matched else ""
    lower = word.lower().rpartition("-")[2]
    if lower in _ABBREVIATIONS.get(language, _ABBREVIATIONS["en"]).split():
        return True
    if lower in _BEFORE_NUMBERS.split() and following[:1].isdigit():
        return True
    if word.isdigit():
        # "3. Mai", and the number of a list item.
        return (language == "de" and len(word) <= 2) or not before[: -len(word)].strip()
    # "J." and "U.S.": an end after an initial cannot be told from the initial, so it does not split.
    letters = word.split(".")
    return all(len(letter) == 1 and letter.isalpha() for letter in letters) and (len(letters) > 1 or word.isupper())


def _quotations(text: str, language: str, max_characters: int) -> list[tuple[int, int]]:
    """Return the indices of opening and closing marks of the outermost quotations that are not too long."""
    pairs = _QUOTES_OF.get(language, _QUOTES)
    spans: list[tuple[int, int]] = []
    index = 0
    while index < len(text):
        closers = pairs.get(text[index])
        if closers is not None:
            found = (text.find(closer, index + 1, index + max_characters) for closer in closers)
            close = min((at for at in found if at >= 0), default=None)
            if close is not None and spoken_length(text[index : close + 1]) <= max_characters:
                spans.append((index, close))
                index = close
        index += 1
    return spans


def _shortened(text: str, max_characters: int) -> Iterator[str]:
    """Cut a text into about equal spans, each short enough."""
    left, begin = spoken_length(text), 0
    while left > max_characters:
        spans = -(-left // max_characters)
        cut = _cut(text, begin, max_characters, target=left / spans)
        yield text[begin:cut].rstrip()
        after = _NOT_SPACE.search(text, cut)
        end = after.start() if after else len(text)
        left -= spoken_length(text[begin:end])
        begin = end
    if begin < len(text):
        yield text[begin:]


def _cut(text: str, begin: int, longest: int, *, target: float) -> int:
    """Return where to cut after `begin`: at the best kind of break that exists, nearest to the `target` length."""
    lengths: list[int] = []  # up to and with each character
    for character in text[begin : begin + longest + 1]:
        length = (lengths[-1] if lengths else 0) + spoken_length(character)
        if length > longest and lengths:
            break
        lengths.append(length)
    limit = begin + len(lengths)
    for kind in _BREAKS:
        cuts = [
            found.end() for found in kind.finditer(text, begin, limit + 1) if not _is_in_number(text, found.start())
        ]
        near = [cut for cut in cuts if cut <= limit and lengths[cut - begin - 1] >= target / 2]
        if near:
            return min(near, key=lambda cut: abs(lengths[cut - begin - 1] - target))
    return begin + next((cut for cut, length in enumerate(lengths, 1) if length >= target), len(lengths))


def _is_in_number(text: str, index: int) -> bool:
    return text[index] in _IN_NUMBERS and text[index - 1 : index].isdigit() and text[index + 1 : index + 2].isdigit()
