import random

import pytest

from valle.synthesis.texts.sentences import split_lines, split_sentences, spoken_length

# A bar is where a sentence ends.
SPLIT = {
    "en": (
        "He left! | Mr. Smith paid 3.14 dollars. | Is it? | Yes.",
        "Dr. J. R. Brown met the U.S. Army at 5 p.m. sharp. | See No. 5. | No. | Go, e.g. Now.",
        '"Stop. Go." | He said it. | It said “One. Two.” | Then it ended. | "Are you?" said Tom. | (He was.) | End',
        "Well... maybe. | Well... | No? | Really?! | Oh! he said. | Yes, etc. and so on. | Etc. | Then",
        "1. First thing. | 2. Second thing.",
        'He is 6" tall. | She is not.',
    ),
    "de": (
        "Am 3. Mai kam Hr. Müller, z. B. um 5.30 Uhr. | „Komm. Geh.“ sagte er. | »Nein! Nie!« | Er ging.",
        "Es waren 300. | Dann kamen bzw. gingen alle, z.B. Anna, vgl. Abs. 2 oben. | Schluss!",
    ),
    "fr": ("M. Dupont est là. | « Quoi ? Non ! » dit-il. | « Oui. » | Elle part.", "Mme. Curie coûte 3,50 ! | Ah ?"),
    "ja": ("こんにちは。|「はい。そうです。」と言った。|「終わり。」|彼は去った。|３．１４です！|本当？",),
    "ko": ('안녕하세요. | 저는 3.5킬로입니다. | "네. 맞아요."라고 말했다. | 끝!',),
    "zh": ("你好。|“我……不知道。”|他说。|价格是3.5元！|真的？|是，１，２３４。",),
}


@pytest.mark.parametrize(("language", "marked"), [(name, text) for name, texts in SPLIT.items() for text in texts])
def test_sentences_end_where_a_reader_says_so(language, marked):
    expected = [piece.strip() for piece in marked.split("|")]
    assert split_sentences(marked.replace("|", ""), language) == expected


def test_an_empty_line_ends_a_sentence_and_a_broken_line_does_not():
    assert split_sentences("A headline\n\nOne\nsentence\n \nanother") == ["A headline", "One\nsentence", "another"]
    assert split_sentences(" \n\n ") == []


def test_marks_without_a_word_stay_with_a_neighbour():
    assert split_sentences("Hello. ... ! Hi. — ") == ["Hello. ... !", "Hi. —"]
    assert split_sentences("... Hello. Hi.") == ["... Hello.", "Hi."]


def test_what_is_too_long_is_cut_at_the_best_break_there_is():
    assert split_sentences("one, two, three; four, five, six", max_characters=25) == [
        "one, two, three;",
        "four, five, six",
    ]
    assert split_sentences("one two, three four five", max_characters=20) == ["one two,", "three four five"]
    assert split_sentences("one two three four", max_characters=10) == ["one two", "three four"]
    assert split_sentences("いち、に、さん、よん", "ja", max_characters=18) == ["いち、に、", "さん、よん"]
    assert split_sentences("字" * 10, "zh", max_characters=12) == ["字" * 4, "字" * 3, "字" * 3]
    assert split_sentences("共１，２３４，和五", "zh", max_characters=24) == ["共１，２３４，", "和五"]


def test_a_long_quotation_is_split_like_any_text():
    text = '"Here is one. ' + "Here is another. " * 20 + 'The last."'
    assert len(split_sentences(text, max_characters=100)) == 22


def test_lines_are_pieces_when_asked_for():
    assert split_lines("Mr. A. Then B.\n\n  two \nthree four", max_characters=20) == [
        "Mr. A. Then B.",
        "two",
        "three four",
    ]


def test_a_wide_character_counts_as_three_letters():
    assert spoken_length("ab字") == 5


WORDS = ["a", "Mr.", "z.B.", "3.14", "No.", "5", "go", "Stop", "字", "です", "네", "don't", "naïve", "x" * 40]
MARKS = [*".!?,;:…—\"'“”„«»「」（）()。！？、， \n\t\u00a0", "\n\n", "...", ". ", "? ", "\u3000"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja", "ko", "zh"])
def test_nothing_is_lost_and_nothing_is_too_long_whatever_the_text(language):
    rng = random.Random(language)
    for _ in range(300):
        text = "".join(rng.choice(WORDS if rng.random() < 0.5 else MARKS) for _ in range(rng.randrange(60)))
        longest = rng.choice([5, 30, 200])
        for pieces in (
            split_sentences(text, language, max_characters=longest),
            split_lines(text, max_characters=longest),
        ):
            assert "".join("".join(pieces).split()) == "".join(text.split())
            assert all(piece and piece == piece.strip() for piece in pieces)
            assert all(spoken_length(piece) <= longest for piece in pieces)


@pytest.mark.parametrize("piece", ["a", "word ", "one, ", "Mr. ", "1. ", "A. ", "(", '"', "「", "\n", "end. ", "中"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_long_text_of_one_piece_is_split_and_nothing_is_lost(piece: str, language: str):
    # What looked back to the beginning of its sentence at every mark took the square of the length: minutes for this.
    text = piece * (100_000 // len(piece))
    for pieces in (split_sentences(text, language), split_lines(text)):
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(spoken_length(one) <= 200 for one in pieces)
