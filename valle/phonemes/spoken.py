"""What espeak-ng reads wrongly, written out in words before it reads: German ordinals, French hours and centuries,
Korean counts."""

import re
from collections.abc import Callable

# fmt: off
_GERMAN_SMALL = (
    "", "erste", "zweite", "dritte", "vierte", "fünfte", "sechste", "siebte", "achte", "neunte", "zehnte", "elfte",
    "zwölfte", "dreizehnte", "vierzehnte", "fünfzehnte", "sechzehnte", "siebzehnte", "achtzehnte", "neunzehnte",
)
_GERMAN_ONES = ("", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
_GERMAN_TENS = ("", "", "zwanzigste", "dreißigste", "vierzigste", "fünfzigste", "sechzigste", "siebzigste",
                "achtzigste", "neunzigste")
_GERMAN_NOUNS = (
    "Januar", "Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
    "November", "Dezember", "Jahrhundert", "Jahrhunderts", "Jahrtausend", "Weltkrieg", "Weltkriegs", "Kapitel",
    "Platz", "Stock", "Klasse", "Mal", "Tag", "Geburtstag", "Lebensjahr", "Bundesliga", "Liga", "Auflage",
)
_KOREAN_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_KOREAN_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# fmt: on
_INFLECTING = "am|im|vom|zum|beim|dem|den|des"
_GERMAN_ORDINAL = re.compile(
    rf"(?:\b(?P<before>{_INFLECTING}|der|die|das)\s+)?\b(?P<number>[1-9]\d?)\.\s(?=(?:{'|'.join(_GERMAN_NOUNS)})\b)",
    re.IGNORECASE,
)
_FRENCH_HOURS = re.compile(r"\b([01]?\d|2[0-4]) ?h(?: ?([0-5]\d))?\b")
_FRENCH_CENTURY = re.compile(r"\b([IVX]+)(?:e|ème)\b")
_ROMAN = {"I": 1, "V": 5, "X": 10}
# Things are counted in Korean numbers: 세 개, 열두 시, 스무 살. Months, minutes and all above 99 are Sino-Korean.
_KOREAN_COUNT = re.compile(
    r"(?<![\d.,:])(?:(?:[1-9]\d?) ?(?=개(?![월년국소])|명(?!령)|살(?!인)|마리|번째|잔|가지|송이|켤레|군데|그루)"
    r"|(?:[1-9]|1[0-2]) ?(?=시(?![즌리])))"
)
_KOREAN_FIRST = re.compile(r"(?<![\d.,:])1 ?번째")


def say_in_words(text: str, language: str) -> str:
    """`text` with what espeak reads wrongly in `language` written out."""
    rule = _RULES.get(language)
    return rule(text) if rule else text


def _german(text: str) -> str:
    return _GERMAN_ORDINAL.sub(_german_ordinal, text)


def _german_ordinal(match: re.Match[str]) -> str:
    before, number = match["before"], int(match["number"])
    word = (
        _GERMAN_SMALL[number]
        if number < len(_GERMAN_SMALL)
        else (f"{_GERMAN_ONES[number % 10]}und" if number % 10 else "") + _GERMAN_TENS[number // 10]
    )
    if before is None:
        return f"{word}r "
    return f"{before} {word}{'' if before.lower() in ('der', 'die', 'das') else 'n'} "


def _french(text: str) -> str:
    text = _FRENCH_HOURS.sub(_french_hours, text)
    return _FRENCH_CENTURY.sub(lambda match: f"{_roman(match[1])}e", text)


def _french_hours(match: re.Match[str]) -> str:
    hours = "une heure" if match[1].lstrip("0") == "1" else f"{match[1]} heures"
    return f"{hours} {match[2]}" if match[2] else hours


def _roman(letters: str) -> int:
    values = [_ROMAN[letter] for letter in letters]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _korean(text: str) -> str:
    return _KOREAN_COUNT.sub(_korean_count, _KOREAN_FIRST.sub("첫 번째", text))


def _korean_count(match: re.Match[str]) -> str:
    number = int(match[0])
    if number == 20:
        return "스무 "
    return f"{_KOREAN_TENS[number // 10]}{_KOREAN_ONES[number % 10]} "


_RULES: dict[str, Callable[[str], str]] = {"de": _german, "fr": _french, "ko": _korean}
