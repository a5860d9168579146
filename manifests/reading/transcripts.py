"""Turn the transcripts of corpora into ordinary text."""

import re
from collections.abc import Sequence

_PUNCTUATION = {"<COMMA>": ",", "<PERIOD>": ".", "<QUESTIONMARK>": "?", "<EXCLAMATIONPOINT>": "!"}
_NO_SPEECH = frozenset({"<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"})
_TAG = re.compile(rf"\s*({'|'.join(_PUNCTUATION)})")
# Letters in capitals from which on they are a convention of the corpus and not an acronym.
_MIN_LETTERS = 20


def is_no_speech(text: str) -> bool:
    """Return whether a transcript is one of GigaSpeech's tags for audio without speech."""
    return text.strip().upper() in _NO_SPEECH


def write_punctuation(text: str) -> str:
    """Replace GigaSpeech's tags (`<COMMA>`) with the marks that they stand for."""
    return _TAG.sub(lambda match: _PUNCTUATION[match[1]], text)


def lower_capitals(texts: Sequence[str | None]) -> list[str | None]:
    """Return texts in lower case when all of them are in capitals, which a phonemizer may spell out."""
    given = [text for text in texts if text]
    is_convention = sum(map(len, given)) >= _MIN_LETTERS and all(text.isupper() for text in given)
    return [text.lower() if text and is_convention else text for text in texts]
