"""Items and tones for tests of systems."""

import numpy as np
import pytest

from valle.audio import Audio, AudioLocation, write_audio
from valle.backends.registry import Backends
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import find_speech

RATE = 16_000


def tone(seconds):
    return Audio((0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.1)).astype(np.float32), RATE)


def item_with_prompt(prompt, utterance, text="one two three", trial=0, protocol="seed_tts_eval"):
    return EvaluationItem(
        utterance=utterance,
        text=text,
        language="en",
        speaker="ann",
        location=None,
        duration=None,
        prompt="p",
        prompt_location=AudioLocation(str(prompt)),
        prompt_text="",
        prompt_duration=1.0,
        protocol=protocol,
        trial=trial,
    )


@pytest.fixture
def make_item(tmp_path):
    """Make an item with a prompt of one second."""
    prompt = tmp_path / "prompt.wav"
    write_audio(prompt, tone(1.0))
    return lambda utterance, *arguments, **options: item_with_prompt(prompt, utterance, *arguments, **options)


def speak(system, items, directory):
    system.speak(items, directory, Backends())
    return find_speech(items, system.name, directory)
