"""A prompt that the road dropped is no reason to leave similarity out in silence."""

import numpy as np
import pytest

from valle.audio import AudioLocation
from valle.evaluation.evaluate import _require_voices
from valle.evaluation.items.items import EvaluationItem
from warehouse.errors import ConfigurationError

VOICE = np.array([1.0, 0.0], dtype=np.float32)


def item(utterance: str, prompt: str, location: AudioLocation | None) -> EvaluationItem:
    return EvaluationItem(
        utterance=utterance,
        text="Four, seven, two.",
        language="en",
        speaker="ann",
        location=None,
        duration=None,
        prompt=prompt,
        prompt_location=location,
        prompt_text="",
        prompt_duration=None,
        protocol="cross_sentence",
        trial=0,
    )


def test_prompts_without_a_voice_are_named_before_anything_is_scored():
    items = [item("u0", "p0", AudioLocation("p0.wav")), item("u1", "p1", AudioLocation("p1.wav"))]
    _require_voices(items, {"p0": VOICE, "p1": VOICE})
    with pytest.raises(ConfigurationError, match="1 prompts of the list have no voice to compare with, such as p1"):
        _require_voices(items, {"p0": VOICE})


def test_a_list_of_texts_without_prompts_needs_no_voice():
    _require_voices([item("u0", "", None)], {})
