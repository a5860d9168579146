"""Numbers in Mandarin text as they are said, in characters: years and telephone numbers by digit, others by value."""

import re

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿", "万亿")
_LONGEST_VALUE = 8  # digits; a longer number without commas is a telephone number or an identity card
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_MEASURES = "个個只隻条條张張位本次天种種岁歲点點年人件家名块塊元倍千万萬百"

_REWRITTEN = (
    (re.compile(rf"([$€£¥￥]) ?({_NUMBER})"), lambda m: _value(m[2]) + _CURRENCIES[m[1]]),
    (re.compile(r"(?<!\d)(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?!\d)"), lambda m: _date(m)),
    (re.compile(r"(?<!\d)(\d{4})(?= ?年)"), lambda m: _by_digit(m[1])),
    (re.compile(r"(?<!\d)(\d{1,2}):([0-5]\d)(?![\d:])"), lambda m: _time(m)),
    (re.compile(rf"({_NUMBER}) ?%"), lambda m: "百分之" + _value(m[1])),
    (re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])"), lambda m: f"{_value(m[2])}分之{_value(m[1])}"),
    (re.compile(rf"(?<![0-9A-Za-z-])-(?={_NUMBER})"), lambda m: "负"),
    (re.compile(r"° ?C"), lambda m: "度"),
    (re.compile(r"(?<=\d)[~〜-](?=\d)"), lambda m: "到"),
    (re.compile(rf"(?<![\d.,])2(?= ?[{_MEASURES}])"), lambda m: "两"),
    (re.compile(_NUMBER), lambda m: _value(m[0])),
)


def say_numbers(text: str) -> str:
    """`text` with every number written out in characters."""
    for pattern, spoken in _REWRITTEN:
        text = pattern.sub(spoken, text)
    return text


def _by_digit(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _value(number: str) -> str:
    whole, _, fraction = number.replace(",", "").partition(".")
    is_code = (len(whole) > _LONGEST_VALUE and "," not in number) or (whole.startswith("0") and len(whole) > 1)
    said = _by_digit(whole) if is_code else _cardinal(int(whole))
    return f"{said}点{_by_digit(fraction)}" if fraction else said


def _cardinal(number: int) -> str:
    if number == 0:
        return "零"
    said, rest, place = "", number, 0
    while rest and place < len(_MYRIADS):
        rest, group = divmod(rest, 10_000)
        if group:
            # A gap below this group is said as one zero.
            gap = "零" if said and _has_gap(number, place) and not said.startswith("零") else ""
            said = _group(group) + _MYRIADS[place] + gap + said
        place += 1
    said = said.strip("零")
    return said[1:] if said.startswith("一十") else said


def _has_gap(number: int, place: int) -> bool:
    return number // 10_000 ** (place - 1) % 10_000 < 1_000


def _group(group: int) -> str:
    said, was_zero = "", False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if digit:
            said += ("零" if was_zero and said else "") + _DIGITS[digit] + _PLACES[place]
        was_zero = digit == 0
    return said


def _date(match: re.Match[str]) -> str:
    return f"{_by_digit(match[1])}年{_value(str(int(match[2])))}月{_value(str(int(match[3])))}日"


def _time(match: re.Match[str]) -> str:
    hours = "两" if match[1].lstrip("0") == "2" else _cardinal(int(match[1]))
    minutes = int(match[2])
    return f"{hours}点" + (f"{'零' if minutes < 10 else ''}{_cardinal(minutes)}分" if minutes else "")
