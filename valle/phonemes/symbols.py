"""Split IPA text into symbols: one phone each, with stress, length and tone as separate symbols.

A symbol is an IPA letter with the combining marks that change its sound (a nasal vowel is one symbol), or one of: a
stress mark, a length mark, a tone digit, a punctuation mark, the space between words. Marks of stress, length and tone
combine freely with every vowel, so separate symbols keep the table small.
"""

import unicodedata

SPACE = " "
PUNCTUATION = ',.!?;:—…"()'
_ATTACHED = "ʲʰʷᵝˠˤ"  # modifier letters that belong to the letter before them
_SILENT = "|_^-\u0361\u035c\u200d\u200b"  # espeak's separators, tie bars, joiners: no sound of their own


def _is_attached(character: str) -> bool:
    return unicodedata.combining(character) != 0 or character in _ATTACHED


def split_symbols(ipa: str) -> list[str]:
    """Return the symbols of a phonemized text in order; runs of spaces become one, outer spaces are removed."""
    symbols: list[str] = []
    for character in unicodedata.normalize("NFD", ipa.replace("ç", "\0")).replace("\0", "ç"):
        if character in _SILENT:
            continue
        if _is_attached(character) and symbols and symbols[-1] != SPACE:
            symbols[-1] += character
        elif character.isspace():
            if symbols and symbols[-1] != SPACE:
                symbols.append(SPACE)
        else:
            symbols.append(character)
    return symbols[:-1] if symbols and symbols[-1] == SPACE else symbols
