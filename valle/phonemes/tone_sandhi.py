"""Apply Mandarin tone sandhi to a whole run of characters: 不, 一 and the third tone.

pypinyin applies it inside the phrases of its dictionary only, and 一张纸 is three of them. The rules are those of
Standard Chinese (Y. R. Chao, A Grammar of Spoken Chinese, 1968, section 1.3.3). Syllables are pinyin with the tone as
a number at the end, 5 for the neutral tone.
"""

from collections.abc import Sequence
from itertools import pairwise

_DIGITS = "零〇一二三四五六七八九"
_SCALES = "百千万亿"
# After these 一 ends a word (唯一, 星期一, 之一) or is an ordinal number (第一).
_ORDINAL_BEFORE = "第初统唯单专万周期拜之划逐合如归"
# Third-tone words of one syllable that often come before a word of two: 很 in 很勇敢.
_SINGLE = "我你很也小老总可请想有给每两五九几好"


def apply_tone_sandhi(characters: str, syllables: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return `syllables`, one per character of a run, with the tones that connected speech has.

    `words` are the parts of `characters` that belong together, in order.
    """
    changed = list(syllables)
    for place, character in enumerate(characters):
        # The dictionary has some of these with sandhi already, as if nothing came before.
        if character == "一" and syllables[place] in ("yi1", "yi2", "yi4"):
            changed[place] = f"yi{_tone_of_yi(characters, syllables, place)}"
        elif character == "不" and syllables[place] in ("bu2", "bu4"):
            changed[place] = "bu2" if _tone_after(syllables, place) == "4" else "bu4"
    for begin, end in _runs_of_third_tones(changed):
        for place in _raised(characters, _feet(characters, words, begin, end)):
            changed[place] = changed[place][:-1] + "2"
    return changed


def _tone_after(syllables: Sequence[str], place: int) -> str:
    return syllables[place + 1][-1] if place + 1 < len(syllables) else ""


def _tone_of_yi(characters: str, syllables: Sequence[str], place: int) -> int:
    """Return the tone of 一: the first in numbers and at the end of words, else by the tone that follows."""
    before, after = characters[place - 1 : place], characters[place + 1 : place + 2]
    if before and before == after and before not in _DIGITS:
        return 5  # 看一看
    is_counted = after != "" and after in _SCALES
    in_number = after != "" and after in _DIGITS
    ends_word = before == "一" and characters[max(0, place - 2) : place - 1] in tuple(_ORDINAL_BEFORE)  # 唯一|一个
    if before and not is_counted and not ends_word and before in _DIGITS + _SCALES + "十点":
        in_number = True
    is_date = after in ("月", "号") or (after == "日" and before == "月")
    if not after or in_number or is_date or (before and before in _ORDINAL_BEFORE and not is_counted):
        return 1
    return 2 if _tone_after(syllables, place) == "4" else 4


def _runs_of_third_tones(syllables: Sequence[str]) -> list[tuple[int, int]]:
    """Return begin and end of each run of two or more third tones."""
    is_third = [syllable.endswith("3") for syllable in syllables]
    edges = [place for place, (a, b) in enumerate(pairwise([False, *is_third, False])) if a != b]
    return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end - begin > 1]


def _feet(characters: str, words: Sequence[str], begin: int, end: int) -> list[tuple[int, int]]:
    """Return the rhythmic feet of a run of third tones: words, and single syllables in pairs from the left.

    A syllable that is left over joins the foot before it; without one, a foot of its own.
    """
    feet: list[tuple[int, int]] = []
    place, is_open = 0, False
    for word in words:
        first, last = max(place, begin), min(place + len(word), end)
        place += len(word)
        if first >= last:
            continue
        if last - first == 1 and is_open and feet[-1][1] == first:
            feet[-1] = feet[-1][0], last
            is_open = False
        else:
            feet.append((first, last))
            is_open = last - first == 1
    return _joined(characters, feet)


def _joined(characters: str, feet: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(feet) > 1 and feet[-1][1] - feet[-1][0] == 1:
        (begin, middle), (_, end) = feet[-2:]
        is_single = middle - begin == 2 and characters[begin] in _SINGLE
        # 很勇敢 is 很 and 勇敢, 展览馆 is 展览 and 馆.
        return [*feet[:-2], *([(begin, begin + 1), (begin + 1, end)] if is_single else [(begin, end)])]
    return feet


def _raised(characters: str, feet: Sequence[tuple[int, int]]) -> list[int]:
    """Return the syllables that become the second tone: all of a foot but its last."""
    return [place for begin, end in feet for place in range(begin, end - 1)]
