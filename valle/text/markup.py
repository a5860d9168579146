"""Marked-up text: IPA between marks, pauses, and a subset of SSML (W3C, 1.1); anything else is refused in a sentence.

| written | spoken |
| --- | --- |
| `[[həlˈoʊ]]` | these phonemes |
| `[0.5s]`, `<break time="500ms"/>`, `<break strength="strong"/>` | a pause |
| `<phoneme ph="həlˈoʊ">hello</phoneme>` | the phonemes in place of the text |
| `<sub alias="doctor">Dr</sub>` | the alias in place of the text |
| `<say-as interpret-as="characters">ABC</say-as>` | also `digits`, `telephone`, `cardinal`, `ordinal` |
| `<prosody rate="80%">`, `<prosody rate="slow">` | a slower or faster sentence at the same pitch |
| `<lang xml:lang="de">` | phonemes of another language, by the voice of the same speaker |

A text without any of these is spoken as it is written: `3 < 4` is no tag.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from warehouse.errors import ConfigurationError

LONGEST_PAUSE = 10.0
_SLOWEST, _FASTEST = 0.25, 4.0
_TAGS = ("break", "lang", "phoneme", "prosody", "say-as", "speak", "sub")
_MARK = re.compile(
    r"\[\[(?P<ipa>[^\[\]]*)\]\]"
    r"|\[(?P<pause>\d+(?:\.\d+)?)\s*(?P<unit>ms|s)\]"
    r"|<(?P<close>/?)(?P<tag>[A-Za-z][\w:-]*)(?P<attributes>(?:\s+[\w:-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(?P<empty>/?)>"
    r"|(?P<broken><(?=/?[A-Za-z])[^\s<>]{0,20})"
)
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")
_STRENGTHS = MappingProxyType({"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.8, "x-strong": 1.2})
_RATES = MappingProxyType({"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.75, "default": 1.0})


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A run of text that is read alike.

    `ipa` replaces its phonemes, `language` is that of its phonemes, None for the language of the whole text, and `rate`
    the factor on its tempo.
    """

    text: str
    ipa: str | None = None
    language: str | None = None
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _Open:
    """An open tag, the span that its text begins with, and what its text becomes."""

    tag: str
    span: MarkedSpan
    substitute: Callable[[str], str] | None = None


def parse_markup(text: str, language: str) -> list[MarkedSpan | Pause]:
    """Return the spans and pauses of a text. Raises ConfigurationError for other tags, attributes and values."""
    found: list[MarkedSpan | Pause] = []
    stack = [_Open("", MarkedSpan(""))]
    end = 0
    has_tags = any(mark["tag"] for mark in _MARK.finditer(text))
    for mark in _MARK.finditer(text):
        found += _read(text[end : mark.start()], stack[-1], has_tags)
        end = mark.end()
        # Speaking a broken tag as text would hide the mistake until somebody listens.
        if mark["broken"]:
            raise ConfigurationError(f"The tag {mark['broken']!r} has no end; write < as &lt; where it is no tag.")
        if mark["ipa"] is not None:
            found.append(_ipa(mark["ipa"], mark["ipa"], stack[-1].span))
        elif mark["pause"]:
            found.append(_pause(float(mark["pause"]), mark["unit"]))
        elif mark["close"]:
            if stack[-1].tag != mark["tag"]:
                raise ConfigurationError(f"The tag </{mark['tag']}> closes no open tag; check the order of the tags.")
            stack.pop()
        else:
            _open(mark, stack, found, language)
    if len(stack) > 1:
        raise ConfigurationError(f"The tag <{stack[-1].tag}> is not closed; add </{stack[-1].tag}>.")
    return [*found, *_read(text[end:], stack[0], has_tags)]


def _read(text: str, inside: _Open, has_tags: bool) -> Iterator[MarkedSpan]:
    # Entities are those of SSML; without a tag the text is no SSML.
    text = html.unescape(text) if has_tags else text
    if text:
        yield replace(inside.span, text=inside.substitute(text) if inside.substitute else text)


def _open(mark: re.Match[str], stack: list[_Open], found: list[MarkedSpan | Pause], language: str) -> None:
    tag, is_empty = mark["tag"], bool(mark["empty"])
    if tag not in _TAGS:
        raise ConfigurationError(f"The tag <{tag}> is not supported; use {', '.join(_TAGS)}.")
    values = {name: html.unescape(first or second) for name, first, second in _ATTRIBUTE.findall(mark["attributes"])}
    if tag == "break":
        found.append(_break(values))
        if is_empty:
            return
    elif is_empty:
        raise ConfigurationError(f"The tag <{tag}/> has no text; put it around some.")
    stack.append(_opened(tag, values, stack[-1], language))


def _opened(tag: str, values: Mapping[str, str], outer: _Open, language: str) -> _Open:
    if outer.span.ipa is not None or outer.substitute is not None:
        raise ConfigurationError(f"The tag <{tag}> is inside <{outer.tag}>, whose text is replaced; close that first.")
    span = outer.span
    match tag:
        case "phoneme":
            if values.get("alphabet", "ipa") != "ipa":
                raise ConfigurationError(f"The alphabet {values['alphabet']!r} is not supported; write ipa.")
            return _Open(tag, _ipa("", _needed(tag, "ph", values), span))
        case "sub":
            alias = _needed(tag, "alias", values)
            return _Open(tag, span, lambda _: alias)
        case "say-as":
            kind = _needed(tag, "interpret-as", values)
            return _Open(tag, span, lambda text: _say_as(text, kind, span.language or language))
        case "prosody":
            _allow(tag, values, ("rate",))
            return _Open(tag, replace(span, rate=span.rate * _rate(_needed(tag, "rate", values))))
        case "lang":
            return _Open(tag, replace(span, language=_needed(tag, "xml:lang", values).split("-")[0].lower()))
    return _Open(tag, span)


def _needed(tag: str, name: str, values: Mapping[str, str]) -> str:
    if not values.get(name):
        raise ConfigurationError(f'The tag <{tag}> needs {name}="...".')
    return values[name]


def _allow(tag: str, values: Mapping[str, str], names: tuple[str, ...]) -> None:
    if other := sorted(set(values) - set(names)):
        raise ConfigurationError(f"The tag <{tag}> supports {', '.join(names)}, not {', '.join(other)}.")


def _ipa(text: str, ipa: str, inside: MarkedSpan) -> MarkedSpan:
    if not ipa.strip():
        raise ConfigurationError("There are no phonemes between the marks; write IPA, such as [[həlˈoʊ]].")
    return replace(inside, text=text, ipa=ipa.strip().strip("/"))


def _break(values: Mapping[str, str]) -> Pause:
    _allow("break", values, ("time", "strength"))
    if "time" not in values:
        strength = values.get("strength", "medium")
        if strength not in _STRENGTHS:
            raise ConfigurationError(f"The strength {strength!r} is none of {', '.join(_STRENGTHS)}.")
        return Pause(_STRENGTHS[strength])
    matched = _TIME.fullmatch(values["time"].strip())
    if matched is None:
        raise ConfigurationError(f"The time {values['time']!r} is no duration; write 500ms or 0.5s.")
    return _pause(float(matched[1]), matched[2])


def _pause(number: float, unit: str) -> Pause:
    seconds = number / 1000 if unit == "ms" else number
    if seconds > LONGEST_PAUSE:
        raise ConfigurationError(f"A pause of {seconds:g} s is too long; at most {LONGEST_PAUSE:g} s are spoken.")
    return Pause(seconds)


def _rate(text: str) -> float:
    text = text.strip()
    try:
        factor = _RATES[text] if text in _RATES else float(text.removesuffix("%")) / (100 if text[-1:] == "%" else 1)
    except ValueError as error:
        raise ConfigurationError(f"The rate {text!r} is none of {', '.join(_RATES)}, 80% or 0.8.") from error
    if not _SLOWEST <= factor <= _FASTEST:
        raise ConfigurationError(f"The rate {text!r} is out of range; use {_SLOWEST:.0%} to {_FASTEST:.0%}.")
    return factor


def _say_as(text: str, kind: str, language: str) -> str:
    match kind:
        case "characters" | "spell-out":
            return ", ".join(character.upper() for character in text if character.isalnum())
        case "digits" | "telephone":
            return " ".join(character for character in text if character.isdecimal())
        case "cardinal" | "number":
            return text
        case "ordinal":
            return _ordinal(text, language)
    raise ConfigurationError(
        f"The interpretation {kind!r} is not supported; use characters, digits, telephone, cardinal or ordinal."
    )


def _ordinal(text: str, language: str) -> str:
    import num2words

    try:
        return str(num2words.num2words(int(text.strip()), to="ordinal", lang=language))
    except (ValueError, OverflowError, NotImplementedError) as error:
        raise ConfigurationError(f"{text.strip()[:40]!r} is no whole number that can be read as an ordinal.") from error
