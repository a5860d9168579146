from itertools import pairwise

import numpy as np
import pytest

from tests.unit.backends.clips import sentences
from valle.backends.alignment import TimedPiece, TimedWord, group_pieces, trim_silence, words_of
from valle.backends.asr import open_transcriber


@pytest.fixture(scope="module")
def tiny():
    return open_transcriber("tiny.en")


def pieces(*texts: str) -> list[TimedPiece]:
    return [TimedPiece(text, float(index), index + 1.0, index / 10, 1) for index, text in enumerate(texts)]


def test_a_word_is_what_stands_between_spaces_and_lonely_punctuation_belongs_to_the_word_before():
    assert words_of(" One two, - three ! ") == ["One", "two, -", "three !"]
    assert words_of("") == []


def test_tokens_are_joined_to_the_words_of_the_text_and_punctuation_takes_no_time():
    words = group_pieces("Don't, Ann-Marie.", pieces(" Don", "'t", ",", " Ann", "-", "Marie", "."))
    assert [(one.word, one.start, one.end) for one in words] == [("Don't,", 0, 2), ("Ann-Marie.", 3, 6)]
    assert [one.confidence for one in words] == pytest.approx([0.05, 0.4])


def test_tokens_that_do_not_spell_the_text_align_nothing():
    assert group_pieces("one two three", pieces(" one", " two")) == []
    assert group_pieces("one two", pieces(" onetwo")) == []
    assert group_pieces("", []) == []


def test_the_edges_of_words_leave_the_silence():
    samples = np.zeros(16_000, np.float32)
    samples[4_000:8_000] = 0.3
    (word,) = trim_silence([TimedWord("word", 0.1, 0.9, 1.0)], samples, 16_000)
    assert (word.start, word.end) == (0.25, 0.5)
    (silent,) = trim_silence([TimedWord("lost", 0.6, 0.9, 1.0)], samples, 16_000)
    assert (silent.start, silent.end) == (0.6, 0.9)


def test_the_words_of_two_joined_clips_stay_on_their_sides_of_the_pause_between_them(tiny):
    first, second = sentences(2)
    joined = np.concatenate([first.samples, np.zeros(8_000, np.float32), second.samples])
    text = f"{first.text} {second.text}"
    (words,) = tiny.align([joined], [text], "en")
    assert [word.word for word in words] == text.split()
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(words))
    border = len(first.samples) / 16_000
    last, following = words[len(first.text.split()) - 1 :][:2]
    assert border - 0.5 < last.end <= border and border + 0.4 < following.start < border + 1.0
    assert all(0 < word.confidence <= 1 for word in words)


def test_the_border_of_clips_that_are_joined_without_a_pause_is_found_where_it_is(tiny):
    """By the attention alone it would be 85 ms late in the mean."""
    clips, late = sentences(4), []
    for first, second in pairwise(clips):
        left, right = (clip.samples[is_loud(clip.samples)] for clip in (first, second))
        text = f"{first.text} {second.text}"
        (words,) = tiny.align([np.concatenate([left, right])], [text], "en")
        last, following = words[len(first.text.split()) - 1 :][:2]
        late.append((last.end + following.start) / 2 - len(left) / 16_000)
    assert abs(np.mean(late)) < 0.05


def is_loud(samples):
    """The slice from the first to the last 10 ms within 35 dB of the loudest."""
    hops = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    levels = 10 * np.log10((hops**2).mean(1) + 1e-12)
    loud = np.flatnonzero(levels > levels.max() - 35)
    return slice(loud[0] * 160, (loud[-1] + 1) * 160)


def test_a_clip_is_aligned_alike_alone_and_beside_a_longer_one(tiny):
    first, second = sentences(2)
    together = tiny.align([first.samples, second.samples], [first.text, second.text], "en")
    assert together[1] == tiny.align([second.samples], [second.text], "en")[0]
    assert tiny.align([], [], "en") == [] and tiny.align([first.samples], [""], "en") == [[]]
