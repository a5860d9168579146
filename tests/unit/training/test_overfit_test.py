import numpy as np
import pytest

from valle.backends.registry import Backends
from valle.codec.base import CodecSpec
from valle.training.overfit_test import ClipSynthesis, OverfitOptions, OverfitResult, accuracies, overfit, read_clips


@pytest.fixture(scope="module")
def clips():
    return read_clips(Backends(), 2)


def test_the_clips_are_of_two_speakers_with_prompts_of_their_own(clips):
    assert len({clip.clip.speaker for clip in clips}) == 2
    for clip in clips:
        assert clip.prompt.shape == (8, 75)
        assert clip.target.shape == (8, int(np.ceil(clip.clip.duration * 75)))
        assert not np.array_equal(clip.prompt, clip.target[:, :75])


def test_a_small_model_overfits_in_every_mode_and_stops_when_it_is_accurate_enough(clips, tmp_path):
    spec = CodecSpec("mini", "1", 24_000, 320, 8, 1024)
    options = OverfitOptions(out=tmp_path, size="nano", max_steps=100, learning_rate=5e-3, target_accuracy=0.3)
    checks = []
    model, steps = overfit(clips, spec, options, on_check=lambda step, by_mode: checks.append((step, by_mode)))
    assert checks[-1][0] == steps
    assert accuracies(model, clips) == checks[-1][1]
    assert min(checks[-1][1].values()) > max(0.05, min(checks[0][1].values()))
    if steps < 100:
        assert min(checks[-1][1].values()) >= 0.3


def test_it_passes_when_everything_is_learned_and_transcribed(tmp_path):
    def result(accuracy, rate):
        syntheses = [ClipSynthesis("clip", "ar", 1.0, "One.", rate, tmp_path / "clip.wav")]
        return OverfitResult({"ar": 1.0, "nar": accuracy}, syntheses, 10, 1.0)

    assert result(0.995, 0.0).is_passed()
    assert not result(0.9, 0.0).is_passed()
    assert not result(1.0, 0.5).is_passed()
