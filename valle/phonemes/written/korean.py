"""Verbalise written forms of Korean before espeak-ng reads the text.

espeak-ng reads whole numbers in Sino-Korean, which fits years, minutes, money and measures.
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

_DIGITS = "공일이삼사오육칠팔구"
_ENDING_IN_CONSONANT = "013678"
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_PAIRS = {
    "1~2": "한두",
    "2~3": "두세",
    "3~4": "서너",
    "4~5": "네다섯",
    "5~6": "대여섯",
    "6~7": "예닐곱",
    "7~8": "일고여덟",
}
# Things are counted in Korean numbers: 세 개, 열두 시, 스무 살. Months, minutes and all above 99 are Sino-Korean.
_COUNTERS = (
    r"개(?![월년국소])|명(?!령)|살(?!인)|마리|번째|잔|가지|송이|켤레|군데|그루|권(?!력)|병(?!동)|사람|곳|달(?!러)|벌(?!금)|"
    r"컵|통(?![화계신일과합행로역치])|상자|박스|조각|팀|끼|판(?![매결단정])|줄(?!거)|배(?![달송당급포치기우])|다발|봉지|스푼|숟가락|"
    r"큰술|작은술|채(?!널)|쌍|그릇|접시|걸음|바퀴|자루|포기"
)
_CURRENCIES = {"$": "달러", "€": "유로", "£": "파운드", "¥": "엔", "₩": "원"}
# fmt: off
_UNITS = {
    "km": "킬로미터", "m": "미터", "cm": "센티미터", "mm": "밀리미터", "kg": "킬로그램", "g": "그램", "mg": "밀리그램",
    "t": "톤", "l": "리터", "L": "리터", "ml": "밀리리터", "mL": "밀리리터", "ha": "헥타르", "h": "시간",
    "W": "와트", "kW": "킬로와트", "MW": "메가와트", "kWh": "킬로와트시", "V": "볼트", "Hz": "헤르츠",
    "kHz": "킬로헤르츠", "MHz": "메가헤르츠", "GHz": "기가헤르츠", "KB": "킬로바이트", "MB": "메가바이트",
    "GB": "기가바이트", "TB": "테라바이트", "dB": "데시벨", "kcal": "킬로칼로리", "Mbps": "메가비피에스",
    "Gbps": "기가비피에스", "μm": "마이크로미터", "nm": "나노미터", "μg": "마이크로그램", "Ω": "옴", "kΩ": "킬로옴",
    "mA": "밀리암페어", "mAh": "밀리암페어시", "cc": "시시", "%": "퍼센트", "%p": "퍼센트포인트",
}
# fmt: on
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩"}
_CENTS = {"$": "센트", "€": "센트", "£": "펜스"}
# Days of history are read digit by digit: 삼일절, 육이오.
_EVENTS = "절|광복|전쟁|운동|혁명|민주|항쟁|사태|선언|테러|의거"
_BOUNDS = {"≥": "이상", "≤": "이하", "<": "미만", ">": "초과"}
_BOOKS = (
    "마태복음|마가복음|누가복음|요한복음|사도행전|로마서|고린도[전후]서|히브리서|요한계시록|창세기|출애굽기|시편|잠언|"
    "이사야"
)
_SPEEDS = {"km/h": ("시속", "킬로미터"), "m/s": ("초속", "미터"), "mph": ("시속", "마일")}


def _digit_names(text: str) -> str:
    """Return the names of digits one by one; other characters divide them."""
    return " ".join("".join(_DIGITS[int(digit)] for digit in group) for group in re.findall(r"\d+", text))


def _native(number: int) -> str:
    return "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]


def _count(match: re.Match[str]) -> str:
    return f"{_native(int(match[0]))} "


def _count_range(match: re.Match[str]) -> str:
    """Return a range of a count: one word for neighbours, else both numbers with their counter."""
    low, high, counter = match.groups()
    pair = _PAIRS.get(f"{low}~{high}")
    return f"{pair} {counter}" if pair else f"{_native(int(low))} {counter}에서 {_native(int(high))} {counter}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    if hour > 24:
        return match[0]
    words = f"{_native(hour)} 시" if 1 <= hour <= 12 else f"{hour}시"
    return words + (f" {minute}분" if minute else "")


def _short_date(match: re.Match[str]) -> str:
    return f"{match[1]}년 {int(match[2])}월 {int(match[3])}일"


def _date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    return f"{match['year']}년 {month}월 {day}일" if 1 <= month <= 12 and 1 <= day <= 31 else match[0]


def _money(match: re.Match[str]) -> str:
    number, sign, scale = match["number"], match["sign"], match["scale"] or ""
    if match.groupdict().get("letter"):
        return f"{in_myriads(number, match['letter'], '만억')} {_CURRENCIES[sign]}"
    whole, _, part = number.partition(".")
    if sign in _CENTS and len(part) == 2 and not scale:
        large = f"{whole} {_CURRENCIES[sign]}" if whole != "0" else ""
        small = f"{int(part)} {_CENTS[sign]}" if part != "00" else ""
        return " ".join(filter(None, (large, small)))
    return f"{number}{scale} {_CURRENCIES[sign]}"


def _measure(match: re.Match[str]) -> str:
    power = {"2": "제곱", "3": "세제곱"}.get(match["power"] or "", "")
    return f"{match['number']} {power}{_UNITS[match['unit']]}"


def _speed(match: re.Match[str]) -> str:
    speed, unit = _SPEEDS[match["unit"]]
    return f"{speed} {match['number']} {unit}"


def _decimal(match: re.Match[str]) -> str:
    return f"{match[1]} 점 {' '.join(match[2])}"


def _score_or_range(match: re.Match[str]) -> str:
    """Return a range, or a score where the second number is the smaller one."""
    return f"{match[1]} 대 {match[2]}" if int(match[1]) >= int(match[2]) else f"{match[1]}에서 {match[2]}"


def _equals(match: re.Match[str]) -> str:
    return f"{match[1]}{'은' if match[1] in _ENDING_IN_CONSONANT else '는'} "


def _fraction(match: re.Match[str]) -> str:
    if f"{match['top']}/{match['bottom']}" == "24/7":
        return "24 7"
    particle = "과" if (match["whole"] or "")[-1:] in _ENDING_IN_CONSONANT else "와"
    whole = f"{match['whole']}{particle} " if match["whole"] else ""
    return f"{whole}{match['bottom']}분의 {match['top']}"


def _verse(match: re.Match[str]) -> str:
    last = f"에서 {match['last']}절" if match["last"] else ""
    return f"{match['book']} {match['chapter']}장 {match['verse']}절{last}"


_NUMBERS: tuple[Rule, ...] = (
    (
        re.compile(
            rf"(?P<book>{_BOOKS}) ?(?P<chapter>\d{{1,3}}):(?P<verse>\d{{1,3}})(?:[-~](?P<last>\d{{1,3}}))?(?!\d)"
        ),
        _verse,
    ),
    (re.compile(r"(?<![\w'])'(?=\d0년대)"), ""),
    (re.compile(r"(?<=[\d년월일시분초])~(?=\d{1,4}(?:[년월일시분초:]))"), "에서 "),
    (re.compile(rf"({_NUMBER})[-~]({_NUMBER}) ?° ?C(?![A-Za-z])"), r"섭씨 \1에서 \2 도"),
    (re.compile(r"\bpp?\. ?(\d{1,4}(?:[-~]\d{1,4})?)"), r"\1쪽"),
    (re.compile(rf" ?([≥≤<>]) ?({_NUMBER})"), lambda m: f" {m[2]} {_BOUNDS[m[1]]}"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    *minutes_of_arc(" 도 ", "분 ", "초"),
    (SPACED_GROUPS, lambda m: m[0].replace(" ", ",")),
    (
        re.compile(
            r"(?<![\w.-])(?P<year>[12]\d{3})(?P<mark>[-./]) ?(?P<month>\d{1,2})(?P=mark) ?(?P<day>\d{1,2})"
            r"(?![\w-]|\.\d)"
        ),
        _date,
    ),
    (
        re.compile(r"(?<![\w.,-])(?:0\d{1,2}[- ]\d{3,4}[- ]\d{4}|1\d{3}-\d{4})(?![\w-])"),
        lambda m: _digit_names(m[0]),
    ),
    (re.compile(r"\+(\d{1,3}(?:[- ]\d{1,4}){2,4})(?![\w-])"), lambda m: f"플러스 {_digit_names(m[1])}"),
    (re.compile(r"(?<![\w.])(\d\d)\.(0[1-9]|1[0-2])\.([0-2]\d|3[01])(?![\w.])"), _short_date),
    (re.compile(rf"(?<![\w.])(\d{{1,2}})[. ](\d{{1,2}})(?= ?(?:{_EVENTS}))"), lambda m: " ".join(m[1] + m[2])),
    (re.compile(r"(?<![\d.])\d{1,5}(?:\.\d{1,5}){2,4}(?![\d.])"), lambda m: m[0].replace(".", " 점 ")),
    (re.compile(r"(?<=\d) ?- ?(?=\d{1,9} ?=)"), " 빼기 "),
    (re.compile(r"(?<![\d.-])(\d{1,4})-(\d{1,4})(?=번지|호)"), r"\1 다시 \2"),
    (re.compile(rf"\b({any_of(_CODES)}) ?(?=\d)"), lambda m: _CODES[m[1]]),
    (re.compile(rf"(?<=\d) ?({any_of(_CODES)})(?![A-Za-z])"), lambda m: _CODES[m[1]]),
    (re.compile(r"(?<![\w.,:])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])"), _time),
    (re.compile(r"(?<![\w.,])(?:0\d{1,19}|\d{12,30})(?![\d]|[.,]\d)"), lambda m: _digit_names(m[0])),
    (re.compile(VULGAR_FRACTION), _fraction),
    (re.compile(rf"(?P<sign>[$€£¥₩]) ?(?P<number>{_NUMBER})(?P<scale> ?[십백천만억조]{{1,3}})?"
                rf"(?P<letter>(?:[KkMmB]|bn)(?![A-Za-z]))?"), _money),
    (re.compile(rf"{_START}(?P<number>{_NUMBER})(?P<scale> ?[십백천만억조]{{1,3}})? ?(?P<sign>[$€£¥₩])"), _money),
    (re.compile(rf"(?<![\w.,])-({_NUMBER}) ?(?:° ?C(?![A-Za-z])|도)"), r"영하 \1 도"),
    (re.compile(r"(?<![\w.,)])-(?=\d)"), "마이너스 "),
    (re.compile(r"(?<![\d.,~])([1-9])[~-]([1-9]) ?((?:" + _COUNTERS + r"|시간))"), _count_range),
    (re.compile(r"(?<=\d):(?=\d)"), " 대 "),
    (re.compile(r"(?<![\d-])(\d{1,3})-(\d{1,3})(?![\d-])"), _score_or_range),
    (re.compile(r"(?<=\d)[~—-](?=\d)"), "에서 "),
    (re.compile(rf"(?:[시초]속 ?)?{_START}(?P<number>{_NUMBER}) ?(?P<unit>km/h|m/s|mph)(?![A-Za-z])"), _speed),
    (re.compile(rf"(?:섭씨 ?)?{_START}(?P<number>{_NUMBER}) ?° ?C(?![A-Za-z])"), r"섭씨 \g<number> 도"),
    (re.compile(rf"(?:화씨 ?)?{_START}(?P<number>{_NUMBER}) ?° ?F(?![A-Za-z])"), r"화씨 \g<number> 도"),
    (re.compile(r"(?<=\d) ?°"), " 도"),
    (
        re.compile(rf"{_START}(?P<number>{_NUMBER}) ?(?P<unit>{any_of(_UNITS)})(?:\^?(?P<power>[23]))?(?![A-Za-z\d^])"),
        _measure,
    ),
    (re.compile(r"(?<![\d.,:])1 ?번째"), "첫 번째"),
    (re.compile(rf"(?<![\w.,:])(?<!에서 )(?<!분의 )(?:[1-9]\d?)(?= ?(?:{_COUNTERS}))"), _count),
    (re.compile(r"(?<![\w.,:])(?<!분의 )(?:[1-9]|1[0-2])(?= ?시(?![즌리]))"), _count),
    (re.compile(r"(?<![\d.,])6월"), "유월"),
    (re.compile(r"(?<![\d.,])10월"), "시월"),
    (re.compile(r"(?<![\d.])(\d{1,15})\.(\d{1,15})(?![\d.])"), _decimal),
    (re.compile(r"#(?=\d)|\bNo\. ?(?=\d)"), "넘버 "),
    (re.compile(r"(\d) ?= ?"), _equals),
)  # fmt: skip
_SIGNS: tuple[Rule, ...] = (
    ROMAN_NUMERAL,
    (re.compile(r"\(주\) ?"), "주식회사 "),
    addresses("골뱅이, 점, 슬래시, 콜론, 물음표, 이퀄, 앤드, 샵, 언더바, 대시", "kr|jp|de|fr|uk"),
    *tags("골뱅이 ", "해시태그 "),
    (re.compile(r"√ ?(?=\w)"), "루트 "),
    (re.compile(r" ?∞ ?"), " 무한대 "),
    (re.compile(r" ?± ?"), " 플러스마이너스 "),
    (re.compile(r" ?≈ ?"), " 약 "),
    (re.compile(r"(?<=[\dA-Za-z])\^2(?!\d)"), " 제곱"),
    (re.compile(r"(?<=[\dA-Za-z])\^(\d{1,3})"), r"의 \1제곱"),
    (re.compile(r"\b(Dr|Mr|Mrs|Ms|Prof)\.(?= )"), r"\1"),
    (re.compile(r"\bvs\b\.?"), "대"),
    (re.compile(r" ?& ?"), " 앤드 "),
    (re.compile(r" ?\+ ?(?=\w)"), " 더하기 "),
    (re.compile(r" ?× ?"), " 곱하기 "),
    (re.compile(r" ?÷ ?"), " 나누기 "),
    (re.compile(r" ?= ?"), " 이퀄 "),
    (re.compile(r"(?<=\w)@(?=\w)"), " 골뱅이 "),
    (re.compile(r" ?~ ?(?=\d)"), " 약 "),
    (re.compile(r"(?<=\w)/(?=\w)"), " "),
    (re.compile(r"[*_|\\~]+"), " "),
    greek(
        "알파 베타 감마 델타 엡실론 제타 에타 세타 요타 카파 람다 뮤 뉴 크시 오미크론 파이 로 시그마 타우 입실론 "
        "피 카이 프시 오메가"
    ),
    (re.compile(r" {2,}"), " "),
)


def verbalise(text: str) -> str:
    """Return `text` with written forms in words; whole numbers stay in digits but for counts of things."""
    if any(character.isdecimal() for character in text):
        text = rewrite(text, _NUMBERS)
    return rewrite(text, _SIGNS).strip()
