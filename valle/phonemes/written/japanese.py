"""Verbalise written forms of Japanese before haqumei reads the text.

haqumei reads numbers with their counters, most units, years, months and days.
"""

import re

from valle.phonemes.written.rules import (
    ROMAN_NUMERAL,
    SPACED_GROUPS,
    VULGAR_FRACTION,
    Rule,
    addresses,
    any_of,
    in_myriads,
    rewrite,
)
from valle.phonemes.written.signs import greek, minutes_of_arc, tags

_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?:\.\d{1,9})?"
_START = r"(?<![\w.,])"
_COUNTERS = "円年月日時分秒人名個本枚回度歳才番階%％"
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "US$": "$"}
_METRES = {"": "メートル", "k": "キロメートル", "c": "センチメートル", "m": "ミリメートル"}
_POWERS = {"2": "平方", "3": "立方"}
_BOUNDS = {"≥": "以上", "≤": "以下", "<": "未満", ">": "より大きい"}
_BOOKS = "マタイ|マルコ|ルカ|ヨハネ|福音書|創世記|詩篇|詩編|ローマ書?|コリント書?|ヘブル書?|黙示録|イザヤ書?"
_CURRENCIES = {"$": "ドル", "€": "ユーロ", "£": "ポンド", "¥": "円", "₩": "ウォン"}


def _score_or_range(match: re.Match[str]) -> str:
    """Return a range, or a score where the second number is the smaller one."""
    return f"{match[1]}{'対' if int(match[1]) >= int(match[2]) else 'から'}{match[2]}"


def _money(match: re.Match[str]) -> str:
    whole, _, part = match["number"].partition(".")
    # A trailing zero is not read: $5.50 is 5.5 dollars.
    number = f"{whole}.{part.rstrip('0')}".rstrip(".")
    if match["letter"]:
        return in_myriads(number, match["letter"], "万億") + _CURRENCIES[match["sign"]]
    return f"{number}{match['scale'] or ''}{_CURRENCIES[match['sign']]}"


def _verse(match: re.Match[str]) -> str:
    last = f"から{match[4]}節" if match[4] else ""
    return f"{match['book']}{match[2]}章{match[3]}節{last}"


def _time(match: re.Match[str]) -> str:
    minute = int(match["minute"])
    return f"{int(match['hour'])}時" + (f"{minute}分" if minute else "")


def _date(match: re.Match[str]) -> str:
    return f"{match['year']}年{int(match['month'])}月{int(match['day'])}日"


def _version_or_date(number: str) -> str:
    parts = number.split(".")
    if len(parts) == 3 and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 31:
        return f"{parts[0]}年{int(parts[1])}月{int(parts[2])}日"
    return "てん".join(parts)


def _fraction(match: re.Match[str]) -> str:
    if int(match["top"]) >= int(match["bottom"]):
        return f"{match['top']} {match['bottom']}" if match["whole"] is None else match[0]
    whole = f"{match['whole']}と" if match["whole"] else ""
    return f"{whole}{match['bottom']}分の{match['top']}"


_RULES: tuple[Rule, ...] = (
    addresses(
        "アットマーク, ドット, スラッシュ, コロン, クエスチョン, イコール, アンド, シャープ, アンダーバー, ハイフン",
        "jp|de|fr|uk",
    ),
    *tags("アット", "ハッシュタグ"),
    *minutes_of_arc(r"度", "分", "秒"),
    (re.compile(rf"(?P<book>{_BOOKS}) ?(\d{{1,3}}):(\d{{1,3}})(?:[-〜~](\d{{1,3}}))?(?!\d)"), _verse),
    (re.compile(r"〒 ?(\d{3})-(\d{4})(?!\d)"), lambda m: f"郵便番号{' '.join(m[1])}の{' '.join(m[2])}"),
    (re.compile(r"(?<![\w'])'(?=\d0年代)"), ""),
    (re.compile(r"\bpp?\. ?(\d{1,4}(?:[-〜~]\d{1,4})?)"), r"\1ページ"),
    ROMAN_NUMERAL,
    (re.compile(r"\+(?=\d{1,3}(?:[ -]\d{1,4}){2,4})"), "プラス"),
    (re.compile(r"(?<=プラス)\d{1,3}(?: \d{1,4}){2,4}"), lambda m: m[0].replace(" ", "-")),
    (re.compile(r"(?<![\d.])\d{1,5}(?:\.\d{1,5}){2,4}(?![\d.])"), lambda m: _version_or_date(m[0])),
    (re.compile(rf"\b({any_of(_CODES)}) ?(?=\d)"), lambda m: _CODES[m[1]]),
    (re.compile(rf"(?<=\d) ?({any_of(_CODES)})(?![A-Za-z])"), lambda m: _CURRENCIES[_CODES[m[1]]]),
    (re.compile(r"(?<=\d) ?(k|c|m)?m\^?([23])(?!\d)"), lambda m: f"{_POWERS[m[2]]}{_METRES[m[1] or '']}"),
    (re.compile(r"(?<=\d) ?-(?=\d{1,9} ?=)"), "ひく"),
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ",")),
    (
        re.compile(
            rf"(?P<sign>[$€£¥₩]) ?(?P<number>{_NUMBER})(?P<scale>[千万億兆]{{1,2}})?"
            rf"(?P<letter>(?:[KkMmB]|bn)(?![A-Za-z]))?"
        ),
        _money,
    ),
    (re.compile(r"(?<![\d:])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])"), _time),
    (re.compile(r"(?<!\d)(?P<year>\d{4})(?P<mark>[/-])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d)"), _date),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(r"(?<![\d-])(\d{1,3})-(\d{1,3})(?![\d-])"), _score_or_range),
    (re.compile(rf"(?<![\d-])({_NUMBER}[{_COUNTERS}]?)[-〜~](?={_NUMBER}(?![\d-]))"), r"\1から"),
    (re.compile(r"(?<=\d):(?=\d)"), "対"),
    (re.compile(r"(?<=[ぁ-ヶー㐀-鿿])/|/(?=[ぁ-ヶー㐀-鿿])|[*_|\\~•※‣◦]+"), " "),
    (re.compile(r"(?<=[ぁ-んァ-ヶー])[〜~]{1,9}"), "ー"),
    (re.compile(r"(?<![0-9A-Za-z-])-(?=\d)"), "マイナス"),
    (re.compile(r"(?<![\d.,])20[歳才]"), "二十歳"),
    (re.compile(r"° ?C"), "度"),
    (re.compile(r"(?<=\d) ?[Ll](?![A-Za-z])"), "リットル"),
    (re.compile(r"(?<=\d) ?μ(?=[mgl])"), "マイクロ"),
    (re.compile(r"(?<=\d) ?(k?)Ω"), lambda m: f"{'キロ' if m[1] else ''}オーム"),
    (re.compile(r"(?<=マイクロ)[mgl]"), lambda m: {"m": "メートル", "g": "グラム", "l": "リットル"}[m[0]]),
    (re.compile(r"\bNo\. ?(?=\d)|#(?=\d)"), "ナンバー"),
    (re.compile(r"° ?"), "度"),
    (re.compile(r"√ ?(?=\w)"), "ルート"),
    (re.compile(r" ?∞ ?"), "無限大"),
    (re.compile(r" ?± ?"), "プラスマイナス"),
    (re.compile(r" ?≈ ?"), "およそ"),
    (re.compile(r" ?≠ ?"), "ノットイコール"),
    (re.compile(rf" ?([≥≤<>]) ?({_NUMBER})"), lambda m: f"{m[2]}{_BOUNDS[m[1]]}"),
    (re.compile(r"(?<=[\dA-Za-z])\^(\d{1,3})"), lambda m: f"の{m[1]}乗"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "れいてん"),
    (re.compile(r"(?<=\d) ?\+ ?(?=\d)"), "たす"),
    (re.compile(r"(?<=\d) ?[×*] ?(?=\d)"), "かける"),
    (re.compile(r"(?<=\d) ?÷ ?(?=\d)"), "わる"),
    (re.compile(r"(?<=\d) ?= ?(?=\d)"), "は"),
    (re.compile(r"(?<=[^\W\d]) ?= ?(?=[^\W\d])"), "イコール"),
    (re.compile(r"(?<![\d.])%"), "パーセント"),
    (re.compile(r" ?& ?"), "アンド"),
    greek(
        "アルファ ベータ ガンマ デルタ イプシロン ゼータ イータ シータ イオタ カッパ ラムダ ミュー ニュー クサイ "
        "オミクロン パイ ロー シグマ タウ ウプシロン ファイ カイ プサイ オメガ"
    ),
)


def verbalise(text: str) -> str:
    """Return `text` with signs, money, times and dates in words; plain numbers stay as they are."""
    return rewrite(text, _RULES)
