"""Makers of score rows."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import soundfile

from valle.backends.speaker.base import SAMPLE_RATE
from valle.text.errors import count_character_errors, count_word_errors
from warehouse.model_rows import ScoreRow

WORDS = ("after", "early", "nightfall", "the", "yellow", "lamps", "would", "light", "up", "here", "and", "there")


@pytest.fixture(scope="session")
def make_row():
    """Make a score row from a reference and a transcription."""

    def make(
        system="model",
        utterance="u0",
        speaker="ann",
        *,
        reference="one two three four",
        hypothesis="one two three four",
        trial=0,
        sim_o=0.5,
        path="audio.wav",
        normaliser="zip-ls/1",
        asr_model="tiny",
        evaluation="e1",
        generation_seconds=None,
    ):
        words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
        return ScoreRow(
            score_id=f"{evaluation}/{system}/{utterance}/{trial}/{normaliser}",
            evaluation=evaluation,
            protocol="cross_sentence",
            system=system,
            checkpoint_id=None,
            utterance=utterance,
            prompt="p0",
            trial=trial,
            speaker=speaker,
            path=path,
            duration=None if path is None else 2.0,
            reference=reference,
            hypothesis=hypothesis,
            normaliser=normaliser,
            asr_model=asr_model,
            num_words=words.length,
            word_errors=words.errors,
            num_characters=characters.length,
            character_errors=characters.errors,
            speaker_model="resemblyzer",
            sim_o=sim_o,
            generation_seconds=generation_seconds,
            scored_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    return make


@pytest.fixture(scope="session")
def make_evaluation(make_row):
    """Makes a whole evaluation: systems with a rate of wrong words and a mean similarity, over several speakers."""

    def make(systems, *, num_speakers=8, num_utterances=6, trials=1, seed=0):
        generator = np.random.default_rng(seed)
        rows = []
        for system, (rate, mean_similarity) in systems.items():
            for speaker in range(num_speakers):
                hardness = generator.gamma(4, 0.25)
                for utterance in range(num_utterances):
                    text = np.random.default_rng((speaker, utterance))
                    reference = [str(word) for word in text.choice(WORDS, size=text.integers(4, 14))]
                    for trial in range(trials):
                        transcribed = [
                            str(generator.choice(["uh", "a", "lambs", "yell"])) if wrong else word
                            for word, wrong in zip(
                                reference, generator.random(len(reference)) < rate * hardness, strict=True
                            )
                        ]
                        rows.append(
                            make_row(
                                system,
                                f"s{speaker}-u{utterance}",
                                f"speaker{speaker}",
                                reference=" ".join(reference),
                                hypothesis=" ".join(transcribed),
                                trial=trial,
                                sim_o=float(np.clip(generator.normal(mean_similarity, 0.08), -1, 1)),
                                path=f"{system}/s{speaker}-u{utterance}-{trial}.wav",
                            )
                        )
        return rows

    return make


@pytest.fixture
def spoken(make_row, tmp_path):
    """Makes a row whose audio has the given levels, each for as many seconds."""

    def make(system, levels, seconds, **changes):
        samples = np.repeat(np.array(levels, dtype=np.float32), int(seconds * SAMPLE_RATE))
        path = tmp_path / f"{system}-{changes.get('utterance', 'u0')}.wav"
        soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
        return replace(make_row(system, path=str(path)), duration=len(samples) / SAMPLE_RATE, prompt="p", **changes)

    return make
