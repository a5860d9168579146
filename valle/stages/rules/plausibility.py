"""Detect transcripts that the ASR model invented: stock phrases for silence, loops, and text that ends too soon.

The rules use text, duration and the model's confidences; each fault is a drop with its reason and the observed values.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from valle.backends.transcription import Transcription
from valle.phonemes import SPACE, Phonemizer
from valle.phonemes.symbols import PUNCTUATION
from valle.stages.base import Drop
from valle.text.errors import count_phoneme_errors, count_word_errors
from valle.text.normalise import get_normaliser, normalise

_STOCK_PHRASES: dict[str, tuple[str, ...]] = {
    "en": (
        "bye",
        "oh",
        "please subscribe to my channel",
        "see you in the next video",
        "so",
        "subtitles by the amara org community",
        "thank you",
        "thank you for watching",
        "thank you very much",
        "thanks for watching",
        "you",
    ),
    "de": (
        "untertitel der amara org community",
        "untertitelung des zdf 2020",
        "vielen dank",
        "vielen dank fürs zuschauen",
    ),
    "fr": (
        "merci",
        "merci d'avoir regardé cette vidéo",
        "sous titrage société radio canada",
        "sous titres réalisés par la communauté d'amara org",
    ),
    "ja": ("ご視聴ありがとうございました", "ありがとうございました", "おやすみなさい"),
    "ko": ("감사합니다", "구독과 좋아요 부탁드립니다", "시청해 주셔서 감사합니다"),
    "zh": ("谢谢", "谢谢大家", "谢谢观看", "请不吝点赞订阅转发打赏支持明镜与点点栏目", "字幕由amara org社区提供"),
}
_CHARACTERS_PER_SECOND = {"ja": (1.5, 16.0), "ko": (1.5, 14.0), "zh": (1.0, 10.0)}
_ALPHABETIC = (4.0, 30.0)
# Repetitions in a row that make n words a loop. People do say `six six six`.
_LOOP_LENGTHS = {1: 5, 2: 4, 3: 3, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3}

_SINGLE_LETTERS = re.compile(r"\b[a-z](?: [a-z]\b){1,9}")
# Characters of two texts; for longer ones Whisper's normaliser is slow, and it fails on integers of 4,300 digits.
_LONGEST_FOR_WHISPER = 4_000
_SILENT = frozenset((SPACE, *PUNCTUATION, "ˈ", "ˌ"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRules:
    """Bounds on the confidences of the ASR model."""

    min_logprob: float
    max_compression_ratio: float
    max_no_speech: float


def disagreement(given: str, transcription: str, language: str) -> float:
    """Return the word error rate of a transcription against the given text, whichever way words are spelled.

    It is the lowest rate among the spellings that one text may have: as `normalise` leaves it; in English as Whisper's
    normaliser leaves it (do not and don't, colour and color, 5 dollars and $5) with single letters joined (N A S A);
    in German without ß; in Korean by character, as spaces are optional. Chinese and Japanese are compared by
    character.
    """
    return min(count_word_errors(a, b).rate for a, b in _spellings(given, transcription, language))


def _spellings(given: str, transcription: str, language: str) -> Iterator[tuple[str, str]]:
    yield normalise(given, language), normalise(transcription, language)
    if language == "en" and len(given) + len(transcription) <= _LONGEST_FOR_WHISPER:
        whisper = get_normaliser("whisper-en")
        texts = _join_letters(whisper(given, language)), _join_letters(whisper(transcription, language))
        # It removes what is in brackets, so that nothing may be left to compare.
        if all(texts):
            yield texts
    if language == "de":
        yield normalise(given, language).replace("ß", "ss"), normalise(transcription, language).replace("ß", "ss")
    if language == "ko":
        yield _by_character(normalise(given, language)), _by_character(normalise(transcription, language))


def _join_letters(text: str) -> str:
    """Join single letters in a row: an acronym is spelled "n a s a" or "nasa"."""
    return _SINGLE_LETTERS.sub(lambda letters: letters[0].replace(" ", ""), text)


def _by_character(text: str) -> str:
    return " ".join(text.replace(" ", ""))


def phoneme_disagreement(given: str, transcription: str, language: str, phonemizer: Phonemizer) -> float:
    """Return the phoneme error rate of a transcription against the given text, without stress, marks and spaces.

    It is 0 where both are pronounced alike: OK and okay, 25 and twenty-five, 汉语 and 漢語.
    """
    first, second = phonemizer.phonemize([given, transcription], language)
    return count_phoneme_errors(_spoken_symbols(first), _spoken_symbols(second)).rate


def _spoken_symbols(symbols: Sequence[str]) -> list[str]:
    return [symbol for symbol in symbols if symbol not in _SILENT]


def given_fault(given: str, language: str) -> Drop | None:
    """Return why a given text can be compared with nothing, such as "♪♪" or text in another script, or None."""
    if normalise(given, language):
        return None
    return Drop("empty", f"the given text {given[:40]!r} has no letter or digit of {language}")


def characters_per_second(text: str, duration: float, language: str) -> float:
    """Count the letters and digits, as compared, per second."""
    return len(normalise(text, language).replace(" ", "")) / duration if duration > 0 else 0.0


def rate_fault(text: str, duration: float, language: str) -> Drop | None:
    """Return a fault when the text is too long or too short for its audio; a second of pause is allowed."""
    slowest, fastest = _CHARACTERS_PER_SECOND.get(language, _ALPHABETIC)
    count = len(normalise(text, language).replace(" ", ""))
    if slowest * (duration - 1) <= count <= fastest * (duration + 0.5):
        return None
    return Drop("implausible_rate", f"{count} characters in {duration:.1f} s")


def loop_in(text: str, language: str) -> str | None:
    """Return the words that `text` repeats in a row, or None."""
    words = normalise(text, language).split()
    for length, times in _LOOP_LENGTHS.items():
        run = 0
        for index in range(length, len(words)):
            run = run + 1 if words[index] == words[index - length] else 0
            if run >= length * (times - 1):
                return " ".join(words[index - length + 1 : index + 1])
    return None


def is_stock_phrase(text: str, language: str) -> bool:
    """Return whether the whole text is a phrase that ASR models write for silence."""
    letters = re.sub(r"[\W_]+", " ", text.lower()).strip()
    return any(letters == re.sub(r"[\W_]+", " ", phrase) for phrase in _STOCK_PHRASES.get(language, ()))


def transcription_fault(transcription: Transcription, duration: float, rules: ConfidenceRules) -> Drop | None:
    """Return the first sign that a transcription was invented, or None."""
    is_unsure = transcription.no_speech_probability > rules.max_no_speech
    if not any(character.isalnum() for character in transcription.text):
        return Drop("no_text", f"no word, no-speech probability {transcription.no_speech_probability:.2f}")
    if is_unsure and transcription.average_logprob < rules.min_logprob:
        return Drop("no_speech", f"no-speech probability {transcription.no_speech_probability:.2f}")
    if is_stock_phrase(transcription.text, transcription.language) and (
        is_unsure or transcription.average_logprob < rules.min_logprob / 2
    ):
        return Drop("stock_phrase", transcription.text)
    if (loop := loop_in(transcription.text, transcription.language)) is not None:
        return Drop("repetitive", f"repeats {loop[:40]!r}")
    if transcription.compression_ratio > rules.max_compression_ratio:
        return Drop("repetitive", f"compression ratio {transcription.compression_ratio:.2f}")
    if transcription.average_logprob < rules.min_logprob:
        return Drop("low_logprob", f"{transcription.average_logprob:.2f} a token")
    return rate_fault(transcription.text, duration, transcription.language)
