"""Verbalise written forms of Japanese before haqumei reads the text.

haqumei reads numbers with their counters, most units, years, months and days.
"""

import re

from valle.phonemes.written.rules import SPACED_GROUPS, VULGAR_FRACTION, Rule, rewrite

_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,9})?"
_START = r"(?<![\w.,])"
_COUNTERS = "円年月日時分秒人名個本枚回度歳才番階%％"
_CURRENCIES = {"$": "ドル", "€": "ユーロ", "£": "ポンド", "¥": "円", "₩": "ウォン"}


def _money(match: re.Match[str]) -> str:
    whole, _, part = match["number"].partition(".")
    # A trailing zero is not read: $5.50 is 5.5 dollars.
    number = f"{whole}.{part.rstrip('0')}".rstrip(".")
    return f"{number}{match['scale'] or ''}{_CURRENCIES[match['sign']]}"


def _time(match: re.Match[str]) -> str:
    minute = int(match["minute"])
    return f"{int(match['hour'])}時" + (f"{minute}分" if minute else "")


def _date(match: re.Match[str]) -> str:
    return f"{match['year']}年{int(match['month'])}月{int(match['day'])}日"


def _fraction(match: re.Match[str]) -> str:
    whole = f"{match['whole']}と" if match["whole"] else ""
    return f"{whole}{match['bottom']}分の{match['top']}"


_RULES: tuple[Rule, ...] = (
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ",")),
    (re.compile(rf"(?P<sign>[$€£¥₩]) ?(?P<number>{_NUMBER})(?P<scale>[千万億兆]{{1,2}})?"), _money),
    (re.compile(r"(?<![\d:])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])"), _time),
    (re.compile(r"(?<!\d)(?P<year>\d{4})(?P<mark>[/-])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d)"), _date),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(rf"(?<![\d-])({_NUMBER}[{_COUNTERS}]?)[-〜~](?={_NUMBER}(?![\d-]))"), r"\1から"),
    (re.compile(r"(?<=\d):(?=\d)"), "対"),
    (re.compile(r"(?<=[ぁ-んァ-ヶー])[〜~]{1,9}"), "ー"),
    (re.compile(r"(?<![0-9A-Za-z-])-(?=\d)"), "マイナス"),
    (re.compile(r"(?<![\d.,])20[歳才]"), "二十歳"),
    (re.compile(r"° ?C"), "度"),
    (re.compile(r"(?<=\d) ?[Ll](?![A-Za-z])"), "リットル"),
    (re.compile(r"\bNo\. ?(?=\d)|#(?=\d)"), "ナンバー"),
    (re.compile(r"(?<=\d) ?\+ ?(?=\d)"), "たす"),
    (re.compile(r"(?<=\d) ?[×*] ?(?=\d)"), "かける"),
    (re.compile(r"(?<=\d) ?÷ ?(?=\d)"), "わる"),
    (re.compile(r"(?<=\d) ?= ?(?=\d)"), "は"),
    (re.compile(r" ?& ?"), "アンド"),
)


def verbalise(text: str) -> str:
    """Return `text` with signs, money, times and dates in words; plain numbers stay as they are."""
    return rewrite(text, _RULES)
