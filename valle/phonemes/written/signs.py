"""Rules for signs that every language reads with words of its own: Greek letters, tags, accounts, minutes of arc."""

import re

from valle.phonemes.text import LONE_GREEK
from valle.phonemes.written.rules import Rule

_LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"


def greek(names: str) -> Rule:
    """Return the rule that puts single Greek letters in words; `names` has those of α to ω, divided by spaces."""
    words = dict(zip(_LETTERS, names.split(), strict=True))

    def name(match: re.Match[str]) -> str:
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        left, right = (" " if beside.isascii() and beside.isalnum() else "" for beside in (before, after))
        return f"{left}{words[match[0].lower()]}{right}"

    return LONE_GREEK, name


def tags(account: str, topic: str) -> tuple[Rule, ...]:
    """Return the rules for `@name` and `#topic`: a word instead of the sign, with its space where one is needed."""
    return (
        (re.compile(r"(?<![\w.@])@(?=[^\W\d])"), account),
        (re.compile(r"(?<![\w#])#(?=[^\W\d])"), topic),
    )


def minutes_of_arc(degree: str, minute: str, second: str) -> tuple[Rule, ...]:
    """Return the rules for `48°51'` and `48°51'30"`."""
    start = r"(?<=\d) ?° ?(\d{1,2})' ?"
    return (
        (re.compile(rf"{start}(\d{{1,2}}(?:[.,]\d{{1,4}})?)(?:\"|'')"), rf"{degree}\1{minute}\2{second}"),
        (re.compile(rf"{start.removesuffix(' ?')}(?!\w)"), rf"{degree}\1{minute}"),
    )
