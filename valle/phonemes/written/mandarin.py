"""Verbalise numbers in Mandarin: years and telephone numbers by digit, others by value."""

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
from valle.phonemes.written.signs import greek, minutes_of_arc

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_MYRIADS = ("", "万", "亿", "万亿")
_LONGEST_VALUE = 8  # digits; a longer number without commas is a telephone number or an identity card
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,40})(?:\.\d{1,20})?"
_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元"}
_CENTS = {"$": "美分", "€": "欧分", "£": "便士"}
_MEASURES = "个個只隻條条張张位本次天种種岁歲点點年人件家名块塊元倍千万萬百米公斤吨辆座套份双瓶杯碗句步"
# fmt: off
_UNITS = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "kg": "公斤", "g": "克", "mg": "毫克", "t": "吨", "l": "升",
    "L": "升", "ml": "毫升", "mL": "毫升", "h": "小时", "min": "分钟", "s": "秒", "W": "瓦", "kW": "千瓦",
    "kWh": "千瓦时", "V": "伏", "Hz": "赫兹", "kHz": "千赫", "MHz": "兆赫", "GHz": "吉赫", "KB": "千字节",
    "MB": "兆字节", "GB": "吉字节", "TB": "太字节", "dB": "分贝", "Mbps": "兆比特每秒",
    "Gbps": "吉比特每秒", "μm": "微米", "nm": "纳米", "μg": "微克", "Ω": "欧姆", "kΩ": "千欧", "mA": "毫安",
    "mAh": "毫安时", "cc": "毫升", "kcal": "千卡", "kJ": "千焦",
}
_CODES = {"USD": "$", "US$": "$", "EUR": "€", "GBP": "£", "RMB": "¥", "CNY": "¥"}
_CODES_AFTER = {"USD": "美元", "EUR": "欧元", "GBP": "英镑", "RMB": "元", "CNY": "元", "HKD": "港元", "JPY": "日元"}
# Days and events of history are read digit by digit: 九一一事件.
_EVENTS = "事件|事变|运动|惨案|地震|大地震|恐怖"
# fmt: on
_BOUNDS = {
    "≥": "大于等于",
    "≤": "小于等于",
    ">": "大于",
    "<": "小于",
    "±": "正负",
    "≈": "约等于",
    "√": "根号",
    "≠": "不等于",
}
_BOOKS = (
    "马太福音|马可福音|路加福音|约翰福音|使徒行传|罗马书|哥林多[前后]书|希伯来书|启示录|创世记|出埃及记|诗篇|箴言|"
    "以赛亚书"
)
_PER = {"h": "每小时", "s": "每秒", "min": "每分钟"}


def verbalise(text: str) -> str:
    """Return `text` with every number, unit and sign of arithmetic in characters."""
    return rewrite(text, _RULES)


def _by_digit(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _value(number: str) -> str:
    whole, _, fraction = number.replace(",", "").partition(".")
    is_code = (len(whole) > _LONGEST_VALUE and "," not in number) or (whole.startswith("0") and len(whole) > 1)
    words = _by_digit(whole) if is_code else _cardinal(int(whole))
    return f"{words}点{_by_digit(fraction)}" if fraction else words


def _cardinal(number: int) -> str:
    if number == 0:
        return "零"
    words, rest, place = "", number, 0
    while rest and place < len(_MYRIADS):
        rest, group = divmod(rest, 10_000)
        if group:
            # A gap below this group is read as one zero.
            gap = "零" if words and _has_gap(number, place) and not words.startswith("零") else ""
            name = "两" if group == 2 and place else _group(group)
            words = name + _MYRIADS[place] + gap + words
        place += 1
    words = words.strip("零")
    return words[1:] if words.startswith("一十") else words


def _has_gap(number: int, place: int) -> bool:
    return number // 10_000 ** (place - 1) % 10_000 < 1_000


def _group(group: int) -> str:
    words, was_zero = "", False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if digit:
            name = "两" if digit == 2 and place == 3 else _DIGITS[digit]
            words += ("零" if was_zero and words else "") + name + _PLACES[place]
        was_zero = digit == 0
    return words


def _percent(number: str) -> str:
    return f"百分之{_value(number)}"


def _money(match: re.Match[str]) -> str:
    """Return an amount; one with two decimals in its large and small coins: 五美元零五美分, 三元五角."""
    sign, number, scale = match["sign"], match["number"], match["scale"] or ""
    if match["letter"]:
        number = in_myriads(number, match["letter"], "万亿").rstrip("万亿")
        scale = {"m": "万", "b": "亿"}.get(match["letter"][0].lower(), "")
    whole, _, part = number.partition(".")
    if scale or len(part) != 2 or part == "00":
        return f"{_value(number if part != '00' else whole)}{scale}{_CURRENCIES[sign]}"
    large = "" if whole == "0" else f"{_value(whole)}{_CURRENCIES[sign]}"
    return large + ("零" if large and part[0] == "0" else "") + _coins(part, sign)


def _coins(part: str, sign: str) -> str:
    if sign in _CENTS:
        return _count(int(part)) + _CENTS[sign]
    tenths, hundredths = map(int, part)
    return (f"{_count(tenths)}角" if tenths else "") + (f"{_count(hundredths)}分" if hundredths else "")


def _count(number: int) -> str:
    return "两" if number == 2 else _cardinal(number)


def _verse(match: re.Match[str]) -> str:
    last = f"到{_value(match['last'])}节" if match["last"] else ""
    return f"{match['book']}{_value(match['chapter'])}章{_value(match['verse'])}节{last}"


def _score_or_range(match: re.Match[str]) -> str:
    """Return a range, or a score where the second number is the smaller one."""
    return f"{match[1]}{'比' if int(match[1]) >= int(match[2]) else '到'}{match[2]}"


def _version(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    if len(parts) == 3 and len(parts[0]) == 4 and 1 <= int(parts[1]) <= 12 and 1 <= int(parts[2]) <= 31:
        return f"{_by_digit(parts[0])}年{_value(str(int(parts[1])))}月{_value(str(int(parts[2])))}日"
    return "点".join(_value(part) for part in parts)


def _date(match: re.Match[str]) -> str:
    return f"{_by_digit(match[1])}年{_value(str(int(match[2])))}月{_value(str(int(match[3])))}日"


def _measure(match: re.Match[str]) -> str:
    power = {"2": "平方", "3": "立方"}.get(match["power"] or "", "")
    return match["number"] + power + _UNITS[match["unit"]] + (_PER[match["per"]] if match["per"] else "")


def _fraction(match: re.Match[str]) -> str:
    if int(match["top"]) >= int(match["bottom"]) and not match["whole"]:
        return f"{_value(match['top'])} {_value(match['bottom'])}"
    whole = f"{_value(match['whole'])}又" if match["whole"] else ""
    return f"{whole}{_value(match['bottom'])}分之{_value(match['top'])}"


def _time(match: re.Match[str]) -> str:
    hours = "两" if match[1].lstrip("0") == "2" else _cardinal(int(match[1]))
    minutes = int(match[2])
    return f"{hours}点" + (f"{'零' if minutes < 10 else ''}{_cardinal(minutes)}分" if minutes else "")


_RULES: tuple[Rule, ...] = (
    addresses("艾特, 点, 斜杠, 冒号, 问号, 等于, 和, 井号, 下划线, 杠", "cn|jp|de|fr|uk"),
    # A topic is written between two marks or after one, which are silent.
    (re.compile(r"(?<!\w)#(?=[^\W\d])|(?<=[㐀-鿿])#(?!\d)"), ""),
    *minutes_of_arc("度", "分", "秒"),
    (
        re.compile(
            rf"(?P<book>{_BOOKS}) ?(?P<chapter>\d{{1,3}}):(?P<verse>\d{{1,3}})(?:[-~](?P<last>\d{{1,3}}))?(?!\d)"
        ),
        _verse,
    ),
    (re.compile(r"(?<=[歼运轰直])-(?=\d)|(?<=长征|东风)-(?=\d)"), ""),
    (
        re.compile(r"(?<=[打报])(1(?:10|19|20|22)|12315|12345)(?![\d个次下分张条通场局])"),
        lambda m: _by_digit(m[1]).replace("一", "幺"),
    ),
    (re.compile(r"(?<!\d)([5-9][05]|0[05])(?=后(?!来|面|天|续|期|退|者))"), lambda m: _by_digit(m[1])),
    (
        re.compile(r"(?<=[一二三四五六七八九零〇])[OＯo〇]{1,3}(?=[一二三四五六七八九零〇年])"),
        lambda m: "零" * len(m[0]),
    ),
    (re.compile(r"(?<![\d.])(\d)\.(\d)(?=折)"), lambda m: _by_digit(m[1] + m[2])),
    (re.compile(r"(?<![\w'])'(\d0)(?=年代)"), r"\1"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (
        re.compile(r"(?<![\d-])(?:1\d{2} \d{4} \d{4}|[48]00-\d{3}-\d{4})(?!\d)"),
        lambda m: _by_digit(re.sub(r"\D", "", m[0])),
    ),
    (re.compile(r"(?<=\()(0\d{2,3})\) ?(\d{7,8})(?!\d)"), lambda m: f"{_by_digit(m[1])}){_by_digit(m[2])}"),
    (re.compile(r"\+(\d{1,3})(?= ?\d)"), lambda m: f"加{_by_digit(m[1])}"),
    ROMAN_NUMERAL,
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ",")),
    (re.compile(rf"HK\$ ?({_NUMBER}[万亿]?)"), r"\1港元"),
    (re.compile(rf"(?<![A-Za-z])({any_of(_CODES)}) ?(?=\d)"), lambda m: _CODES[m[1]]),
    (re.compile(rf"(?<=\d) ?({any_of(_CODES_AFTER)})(?![A-Za-z])"), lambda m: _CODES_AFTER[m[1]]),
    (re.compile(rf"(?<![\d.])(\d{{1,2}})[ .](\d{{1,2}})(?= ?(?:{_EVENTS}))"), lambda m: _by_digit(m[1] + m[2])),
    (re.compile(r"(?<![\d.])\d{1,5}(?:\.\d{1,5}){2,4}(?![\d.])"), _version),
    (re.compile(r"(?<!\d)(\d{4})-(\d\d)(?=赛季|学年|年度)"), lambda m: f"{_by_digit(m[1])}到{_by_digit(m[2])}"),
    (re.compile(r"(?<=[日号月点时分年])[-~—](?=\d)"), "到"),
    (re.compile(r"(?<=\d) ?- ?(?=\d{1,9} ?=)"), "减"),
    (re.compile(r"'?(?<!\d)(0\d)(?=年)|'(\d\d)(?=年)"), lambda m: _by_digit(m[1] or m[2])),
    (
        re.compile(
            rf"(?P<sign>[$€£¥]) ?(?P<number>{_NUMBER})(?P<scale> ?[百千]?[万亿]|[百千])?"
            r"(?P<letter>(?:[KkMmB]|bn)(?![A-Za-z]))?"
        ),
        _money,
    ),
    (re.compile(r"(?<!\d)(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?!\d)"), lambda m: _date(m)),
    (re.compile(r"(?<!\d)(\d{4})[-~—](\d{4})(?= ?年)"), lambda m: f"{_by_digit(m[1])}到{_by_digit(m[2])}"),
    (re.compile(r"(?<!\d)(\d{4})(?= ?年|[到至]\d{4} ?年)"), lambda m: _by_digit(m[1])),
    (
        re.compile(r"(?<![\d-])(?:0\d{2,3}-\d{7,8}|1\d{2}-\d{4}-\d{4})(?![\d-])"),
        lambda m: _by_digit(m[0].replace("-", "")),
    ),
    (re.compile(r"(?<!\d)(\d{1,2}):([0-5]\d)(?![\d:])"), lambda m: _time(m)),
    (re.compile(rf"(?<=[点分])[-~—](?=[{_DIGITS}十两])"), "到"),
    (re.compile(r"(?<=\d):(?=\d)"), "比"),
    (
        re.compile(
            r"(?<=[里米克斤升元吨次个])/(?=(?:小时|分钟|秒|天|人|年|月|公里|公斤|升|斤|克|吨|个|件|次|米|平|位|晚))"
        ),
        "每",
    ),
    (re.compile(r"(?<![\d-])(\d{1,3})-(\d{1,3})(?![\d-]| ?[%‰])"), _score_or_range),
    (re.compile(r" ?([≥≤<>±≈√≠]) ?(?=[\dA-Za-z])"), lambda m: _BOUNDS[m[1]]),
    (re.compile(r" ?∞ ?"), "无穷大"),
    (re.compile(rf"({_NUMBER})% ?[-~—] ?({_NUMBER}) ?%"), lambda m: f"{_percent(m[1])}到{_percent(m[2])}"),
    (re.compile(rf"({_NUMBER}) ?[-~—] ?({_NUMBER}) ?%"), lambda m: f"{_percent(m[1])}到{_value(m[2])}"),
    (re.compile(rf"(?<![\dA-Za-z])-({_NUMBER}) ?%"), lambda m: "负" + _percent(m[1])),
    (re.compile(rf"({_NUMBER}) ?%"), lambda m: _percent(m[1])),
    (re.compile(rf"({_NUMBER}) ?‰"), lambda m: "千分之" + _value(m[1])),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(rf"(?<![0-9A-Za-z-])-(?={_NUMBER})"), "负"),
    (re.compile(r" ?° ?C?"), "度"),
    (re.compile(r"(?<=\d)[~〜—-](?=\d)"), "到"),
    (
        re.compile(
            rf"(?P<number>{_NUMBER}) ?(?P<unit>{any_of(_UNITS)})(?:\^?(?P<power>[23]))?"
            r"(?:/(?P<per>h|s|min))?(?![A-Za-z\d])"
        ),
        _measure,
    ),
    (re.compile(r"(?<=[\dA-Za-z])\^2(?!\d)"), "的平方"),
    (re.compile(r"(?<=[\dA-Za-z])\^(\d{1,3})"), lambda m: f"的{_value(m[1])}次方"),
    (re.compile(r"\b(?:No|NO)\. ?(?=\d)"), "第"),
    (re.compile(r"#(?=\d)"), "第"),
    (re.compile(r"(?<=[\d)]) ?\+ ?(?=[\d(])"), "加"),
    (re.compile(r"(?<=[\d)]) ?[×*] ?(?=[\d(])"), "乘"),
    (re.compile(r"(?<=[\d)]) ?÷ ?(?=[\d(])"), "除以"),
    (re.compile(r"(?<=[\d)]) ?= ?(?=[\d(负])"), "等于"),
    (re.compile(rf"(?<![\d.,第])2(?= ?(?:[{_MEASURES}周秒遍]|小时|分钟|层楼))"), "两"),
    (re.compile(_NUMBER), lambda m: _value(m[0])),
    (re.compile(r"(?<=[A-Za-z]) ?& ?(?=[A-Za-z])"), " and "),
    (re.compile(r" ?& ?"), "和"),
    (re.compile(r" ?\+ ?"), "加"),
    (re.compile(r" ?= ?"), "等于"),
    (re.compile(r" ?@ ?"), " at "),
    (re.compile(r"[*_|\\~/•※‣◦]+"), " "),
    greek(
        "阿尔法 贝塔 伽马 德尔塔 艾普西隆 泽塔 伊塔 西塔 约塔 卡帕 拉姆达 缪 纽 克西 奥密克戎 派 柔 西格马 陶 宇普西隆 "
        "斐 希 普西 欧米伽"
    ),
)
