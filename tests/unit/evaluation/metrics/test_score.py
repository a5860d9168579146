import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from valle.audio import AudioLocation
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.defects import Silence
from valle.evaluation.metrics.score import Output, PromptEmbeddings, QualityScores, ScoringRun, cosine, score
from warehouse.errors import ConfigurationError
from warehouse.lake.arrow import to_table
from warehouse.model_rows import ScoreRow

RUN = ScoringRun(
    evaluation="e1",
    system="run/100",
    checkpoint_id="run/100",
    asr_model="tiny.en",
    speaker_model="resemblyzer",
    scored_at=datetime(2026, 1, 1, tzinfo=UTC),
)
VOICE = np.array([1.0, 0.0], dtype=np.float32)
PROMPTS = PromptEmbeddings(recorded={"p0": VOICE}, resynthesized={"p0": np.array([0.6, 0.8], dtype=np.float32)})


def item(name="u0", text="Four, seven, two.", trial=0, language="en"):
    return EvaluationItem(
        utterance=name,
        text=text,
        language=language,
        speaker="ann",
        location=AudioLocation(f"{name}.flac"),
        duration=2.0,
        prompt="p0",
        prompt_location=AudioLocation("p0.flac"),
        prompt_text="prompt",
        prompt_duration=3.0,
        protocol="cross_sentence",
        trial=trial,
    )


def output(name="u0", transcription="472", trial=0, embedding=(0.6, 0.8)):
    return Output(
        utterance=name,
        trial=trial,
        path=f"{name}.wav",
        duration=1.5,
        transcription=transcription,
        embedding=None if embedding is None else np.array(embedding, dtype=np.float32),
        generation_seconds=3.0,
    )


def test_digits_that_the_asr_wrote_are_no_errors():
    (row,) = score([item()], [output()], prompts=PROMPTS, run=RUN)
    assert (row.reference, row.hypothesis) == ("four seven two", "four seven two")
    assert (row.num_words, row.word_errors, row.num_characters, row.character_errors) == (3, 0, 14, 0)
    assert row.sim_o == pytest.approx(0.6)
    assert (row.path, row.duration, row.generation_seconds) == ("u0.wav", 1.5, 3.0)
    assert row.normaliser == "valle-en/1"


def test_a_row_keeps_the_texts_as_they_were_and_what_else_was_measured():
    made = dataclasses.replace(
        output(transcription="4 7 2 4 7 2"),
        silence=Silence(0.4, 0.25),
        quality=QualityScores(model="dnsmos@1", dnsmos_ovrl=3.1),
    )
    run = dataclasses.replace(RUN, items_hash="abc", phonemizer="letters")
    (row,) = score([item()], [made], prompts=PROMPTS, run=run, phonemize=lambda text, language: text.replace(" ", ""))
    assert (row.reference_raw, row.hypothesis_raw, row.language) == ("Four, seven, two.", "4 7 2 4 7 2", "en")
    assert row.repeated_words == 3
    assert (row.longest_silence, row.silence_share) == (0.4, 0.25)
    assert (row.quality_model, row.dnsmos_ovrl, row.distillmos) == ("dnsmos@1", 3.1, None)
    assert row.sim_r == pytest.approx(1.0)
    assert (row.num_phonemes, row.phoneme_errors) == (12, 12)
    assert (row.items_hash, row.phonemizer, row.reference_duration) == ("abc", "letters", 2.0)


def test_digits_that_the_asr_wrote_are_no_phoneme_errors():
    (row,) = score(
        [item()], [output()], prompts=PROMPTS, run=RUN, phonemize=lambda text, language: text.replace(" ", "")
    )
    assert (row.num_phonemes, row.phoneme_errors) == (12, 0)


def test_the_row_has_the_reason_of_missing_speech():
    (row,) = score([item()], [], prompts=PROMPTS, run=RUN, failures={("u0", 0): "it did not answer in time"})
    assert (row.failure, row.word_errors, row.sim_r) == ("it did not answer in time", 3, 0.0)


def test_a_missing_output_is_a_row_with_every_word_wrong_and_similarity_zero():
    (row,) = score([item()], [], prompts=PROMPTS, run=RUN)
    assert (row.path, row.hypothesis, row.word_errors, row.character_errors, row.sim_o) == (None, "", 3, 14, 0.0)


def test_audio_without_an_embedding_has_similarity_zero():
    (row,) = score([item()], [output(transcription="", embedding=None)], prompts=PROMPTS, run=RUN)
    assert (row.path, row.word_errors, row.sim_o) == ("u0.wav", 3, 0.0)


def test_without_a_prompt_embedding_similarity_is_not_measured():
    (row,) = score([item()], [output()], prompts=PromptEmbeddings(recorded={}), run=RUN)
    assert row.sim_o is None


def test_rows_come_in_the_order_of_the_items_with_ids_of_their_own():
    items = [item("b"), item("a", trial=1), item("a")]
    outputs = [output("a"), output("b"), output("a", transcription="four seven three", trial=1)]
    rows = score(items, outputs, prompts=PROMPTS, run=RUN)
    assert [(row.utterance, row.trial, row.word_errors) for row in rows] == [("b", 0, 0), ("a", 1, 1), ("a", 0, 0)]
    assert len({row.score_id for row in rows}) == 3


def test_another_normaliser_gives_other_rows_of_the_same_speech():
    seed = dataclasses.replace(RUN, normaliser="zip-ls")
    ours, theirs = (score([item()], [output()], prompts=PROMPTS, run=run)[0] for run in (RUN, seed))
    assert theirs.word_errors == 3
    assert theirs.score_id != ours.score_id


def test_scores_fit_their_table():
    rows = score([item(), item("u1")], [output()], prompts=PROMPTS, run=RUN)
    assert to_table(ScoreRow, rows).num_rows == 2


def test_speech_without_an_item_is_refused():
    with pytest.raises(ConfigurationError, match="trial 0 of stranger"):
        score([item()], [output("stranger")], prompts=PromptEmbeddings(recorded={}), run=RUN)


def test_a_text_without_words_under_the_normaliser_is_refused():
    with pytest.raises(ConfigurationError, match="leaves no word of the text of u0"):
        score([item(text="你好", language="zh")], [output()], prompts=PromptEmbeddings(recorded={}), run=RUN)


def test_a_cosine_does_not_depend_on_length():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 256)).astype(np.float32)
    assert cosine(a, a * 7) == pytest.approx(1.0)
    assert cosine(a, -a) == pytest.approx(-1.0)
    assert cosine(a, b) == pytest.approx(cosine(b * 3, a))
