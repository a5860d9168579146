"""Normalise texts before errors are counted, with one of several named, versioned, pure functions.

The choice changes published error rates by tenths of a point, so every score row stores its name.

| name         | published use         | apostrophe                   | well-known | numbers                      |
| ------------ | --------------------- | ---------------------------- | ---------- | ---------------------------- |
| valle-en     | ours, the default     | kept inside words            | two words  | their digits as words        |
| zip-ls       | ZipVoice              | kept, curly ones too         | two words  | as they are                  |
| seed         | seed-tts-eval         | straight kept, curly removed | one word   | as they are                  |
| f5           | F5-TTS                | removed                      | one word   | as they are                  |
| whisper-en   | ASR leaderboards      | expanded, curly ones split   | two words  | in digits                    |
| nemo-hubert  | evaluate-zero-shot-tts | kept, curly ones too        | two words  | in words                     |
| librispeech  | LibriSpeech's texts   | kept, curly ones too         | two words  | removed: it has letters only |
| multilingual | ours, not English     | kept inside words            | two words  | as they are                  |

`zip-ls` and `librispeech` keep Latin letters without accents only; `valle-en` removes the accents, and writes out `%`,
`&`, Mr, Mrs and Dr. `whisper-en` is the normaliser that OpenAI published with Whisper, from the package
whisper-normalizer, which reads "'cause" as because where OpenAI's keeps cause: it drops fillers and text in brackets,
writes colour as color, and is Whisper's basic normaliser for other languages. It makes "one" of "$1" and of "1%", and
"5" of "-5".
`nemo-hubert` verbalises numbers as NeMo's text normalisation does (see `spoken_numbers`) and keeps letters and
apostrophes, the vocabulary of HuBERT's CTC. `seed`, `f5` and `multilingual` split languages that are written without
spaces into characters, so that their word error rate is a character error rate.
"""

import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

from valle.text.numbers import spell_numbers
from valle.text.spoken_numbers import verbalise_numbers
from warehouse.errors import DependencyError, unknown_name

# The punctuation that the package zhon lists; seed-tts-eval and F5-TTS remove it besides ASCII's.
_HANZI_PUNCTUATION = (
    "＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､　、〃〈〉《》「」『』【】〔〕〖〗〘〙〚〛〜"
    "〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏﹑﹔·．！？｡。"
)

_REMOVED = frozenset(string.punctuation + _HANZI_PUNCTUATION)
# Written without spaces between words, so their errors are counted in characters.
_UNSPACED_LANGUAGES = ("zh", "ja", "th")

DEFAULT_NORMALISER = "valle-en"


@dataclass(frozen=True, slots=True)
class Normaliser:
    """A text normaliser; score rows store its `label`."""

    name: str
    version: int
    function: Callable[[str, str], str]

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}/{self.version}"

    def __call__(self, text: str, language: str = "en") -> str:
        """Normalise a text to words separated by single spaces; `seed` and `f5` may leave more of them."""
        return self.function(text, language)


def _remove_punctuation(text: str, language: str, kept: str) -> str:
    """Apply seed-tts-eval's steps; as there, pairs of spaces are replaced once, so three leave two."""
    text = "".join(character for character in text if character in kept or character not in _REMOVED)
    text = text.replace("  ", " ")
    return " ".join(text) if language in _UNSPACED_LANGUAGES else text.lower()


def _seed(text: str, language: str) -> str:
    return _remove_punctuation(text, language, "'")


def _f5(text: str, language: str) -> str:
    return _remove_punctuation(text, language, "")


def _zip_ls(text: str, language: str) -> str:
    text = text.replace("’", "'").lower()
    return " ".join(re.sub(r"[^a-z0-9']", " ", text).split())


def _librispeech(text: str, language: str) -> str:
    text = text.replace("’", "'").upper()
    return " ".join(re.sub(r"[^A-Z']", " ", text).split())


# Titles that ASR models abbreviate and LibriSpeech's texts write out.
_WRITTEN_SHORT = {"mr": "mister", "mrs": "missus", "dr": "doctor"}


@cache
def _whisper(language: str) -> Callable[[str], str]:
    try:
        from whisper_normalizer.basic import BasicTextNormalizer
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError as error:
        raise DependencyError(
            "The normaliser whisper-en needs a package that is not installed: run "
            "`pip install --no-deps whisper-normalizer==0.1.15 more-itertools`."
        ) from error
    if language == "en":
        return cast(Callable[[str], str], EnglishTextNormalizer())
    return cast(Callable[[str], str], BasicTextNormalizer(split_letters=language in _UNSPACED_LANGUAGES))


def _whisper_en(text: str, language: str) -> str:
    # The time of its patterns grows with the square of a run of white space, which ends as one space anyway.
    return _whisper(language)(" ".join(text.split())).strip()


_NEMO_WRITTEN_SHORT = (("mr", "mister"), ("mrs", "misses"), ("ms", "miss"), ("dr", "doctor"))


def _nemo_hubert(text: str, language: str) -> str:
    # Titles are expanded first, while their full stop tells them from names.
    text = _without_accents(text.replace("’", "'").replace("‘", "'")).replace("&", " and ")
    for short, full in _NEMO_WRITTEN_SHORT:
        text = re.sub(rf"\b{short}\.", full, text, flags=re.IGNORECASE)
    return " ".join(re.sub(r"[^a-z']", " ", verbalise_numbers(text).lower()).split())


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _valle_en(text: str, language: str) -> str:
    text = _without_accents(text).replace("‘", "'").replace("%", " percent ").replace("&", " and ")
    words = (word.strip("'") for word in _zip_ls(text, language).split())
    return spell_numbers(" ".join(_WRITTEN_SHORT.get(word, word) for word in words if word))


def _multilingual(text: str, language: str) -> str:
    # Letters, marks and numbers of any script: marks are the vowels of Thai and the accents of decomposed text.
    text = unicodedata.normalize("NFKC", text.replace("’", "'").replace("‘", "'")).lower()
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    words = [word.strip("'") for word in kept.split()]
    return " ".join("".join(words) if language in _UNSPACED_LANGUAGES else (word for word in words if word))


def normalisers() -> dict[str, Normaliser]:
    """Return every normaliser by name, the default first."""
    known = (
        Normaliser("valle-en", 1, _valle_en),
        Normaliser("zip-ls", 1, _zip_ls),
        Normaliser("seed", 1, _seed),
        Normaliser("f5", 1, _f5),
        Normaliser("whisper-en", 1, _whisper_en),
        Normaliser("nemo-hubert", 1, _nemo_hubert),
        Normaliser("librispeech", 1, _librispeech),
        Normaliser("multilingual", 1, _multilingual),
    )
    return {normaliser.name: normaliser for normaliser in known}


def default_normaliser(language: str) -> str:
    """Return the name of the default normaliser of a language."""
    return DEFAULT_NORMALISER if language == "en" else "multilingual"


def get_normaliser(name: str = DEFAULT_NORMALISER) -> Normaliser:
    """Return a normaliser by name; raise ConfigurationError for an unknown one."""
    known = normalisers()
    if name not in known:
        raise unknown_name("text normaliser", name, known)
    return known[name]


def normalise(text: str, language: str) -> str:
    """Normalise text for comparison: no case, no punctuation, numbers in words, Chinese and Japanese by character."""
    return get_normaliser(default_normaliser(language))(text, language)
