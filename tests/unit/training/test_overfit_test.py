import numpy as np
import pytest

from valle.backends.registry import Backends
from valle.codec.base import CodecSpec
from valle.training.overfit_test import SelfTestOptions, SelfTestResult, Spoken, accuracies, overfit, read_lessons


@pytest.fixture(scope="module")
def lessons():
    return read_lessons(Backends(), 2)


def test_the_lessons_are_clips_of_two_voices_with_prompts_of_their_own(lessons):
    assert len({lesson.clip.speaker for lesson in lessons}) == 2
    for lesson in lessons:
        assert lesson.prompt.shape == (8, 75)
        assert lesson.target.shape == (8, int(np.ceil(lesson.clip.duration * 75)))
        assert not np.array_equal(lesson.prompt, lesson.target[:, :75])


def test_a_small_model_learns_a_little_by_heart_in_every_mode_and_stops_when_it_knows_enough(lessons, tmp_path):
    spec = CodecSpec("mini", "1", 24_000, 320, 8, 1024)
    options = SelfTestOptions(out=tmp_path, size="nano", max_steps=100, learning_rate=5e-3, wanted_accuracy=0.3)
    heard = []
    model, steps = overfit(lessons, spec, options, listener=lambda step, shares: heard.append((step, shares)))
    assert heard[-1][0] == steps
    assert accuracies(model, lessons) == heard[-1][1]
    assert min(heard[-1][1].values()) > max(0.05, min(heard[0][1].values()))
    if steps < 100:
        assert min(heard[-1][1].values()) >= 0.3


def test_it_passes_when_everything_is_learnt_and_understood(tmp_path):
    def result(accuracy, rate):
        spoken = [Spoken("clip", "ar", 1.0, "One.", rate, tmp_path / "clip.wav")]
        return SelfTestResult({"ar": 1.0, "nar": accuracy}, spoken, 10, 1.0)

    assert result(0.995, 0.0).is_passed()
    assert not result(0.9, 0.0).is_passed()
    assert not result(1.0, 0.5).is_passed()
