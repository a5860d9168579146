import pytest

from valle.phonemes import open_phonemizer
from valle.phonemes.spoken import say_in_words


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("Am 3. Mai kam er.", "de", "Am dritten Mai kam er."),
        ("Der 2. Weltkrieg, am 21. Juli 1969.", "de", "Der zweite Weltkrieg, am einundzwanzigsten Juli 1969."),
        ("im 19. Jahrhundert, 30. April", "de", "im neunzehnten Jahrhundert, dreißigster April"),
        ("Er wurde 3. Das war gut.", "de", "Er wurde 3. Das war gut."),
        ("Es kostet 3.50.", "de", "Es kostet 3.50."),
        ("à 14h30 ou 8 h, 1h de route", "fr", "à 14 heures 30 ou 8 heures, une heure de route"),
        ("le XIXe siècle et le XVIIIème", "fr", "le 19e siècle et le 18e"),
        ("3개, 5명, 20살, 21번째, 1번째", "ko", "세 개, 다섯 명, 스무 살, 스물한 번째, 첫 번째"),
        ("12시 30분, 3시간, 15시", "ko", "열두 시 30분, 세 시간, 15시"),
        ("3개월, 100개, 2024년", "ko", "3개월, 100개, 2024년"),
        ("am 3. Mai", "en", "am 3. Mai"),
    ],
)
def test_what_espeak_reads_wrongly_is_written_out(text: str, language: str, spoken: str):
    assert say_in_words(text, language) == spoken


def test_an_ordinal_is_said_as_one():
    reader = open_phonemizer("espeak")
    assert reader.phonemize(["am 3. Mai"], "de") == reader.phonemize(["am dritten Mai"], "de")
    assert reader.phonemize(["3개"], "ko") == reader.phonemize(["세 개"], "ko")
