import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from valle.backends.asr_models import model_directory
from valle.codec_training.asr_loss import AsrEncoder, asr_feature_loss, open_asr_encoder, read_encoder
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two seconds of a buzz that moves through formants: not noise, not silence."""
    time = np.arange(32_000) / 16_000
    buzz = np.sign(np.sin(2 * np.pi * 120 * time)) * np.sin(2 * np.pi * (500 + 300 * np.sin(5 * time)) * time)
    return (0.1 * buzz).astype(np.float32)


@pytest.fixture(scope="module")
def tiny() -> AsrEncoder:
    return open_asr_encoder("tiny.en", 16_000)


def test_the_listener_hears_what_ctranslate2_hears(speech: np.ndarray, tiny: AsrEncoder) -> None:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(model_directory("tiny.en")), device="cpu", compute_type="float32", cpu_threads=1)
    padded = np.pad(speech, (0, 30 * 16_000 - len(speech)))
    features = model.feature_extractor(padded)[..., :3000]
    heard = tiny.log_mel(torch.from_numpy(padded)[None])
    np.testing.assert_allclose(heard[0].numpy(), features, atol=1e-4)
    expected = np.array(model.encode(features[None]))
    np.testing.assert_allclose(tiny.activations(heard)[-1].numpy(), expected, atol=1e-2)


def test_what_sounds_the_same_costs_nothing_and_a_smear_costs_more_than_loudness(
    speech: np.ndarray, tiny: AsrEncoder
) -> None:
    recording = torch.from_numpy(speech)[None]
    smeared = torch.nn.functional.avg_pool1d(recording, 9, 1, 4)
    wanted = tiny(recording)
    same, louder, smear = (
        asr_feature_loss(wanted, tiny(made)).item() for made in (recording, recording * 1.1, smeared)
    )
    assert same == 0
    assert smear > 2 * louder


def test_the_loss_says_how_a_waveform_should_change(speech: np.ndarray, tiny: AsrEncoder) -> None:
    recording = torch.from_numpy(speech)[None]
    wanted = [activation.detach() for activation in tiny(recording)]
    made = (
        recording + 0.02 * torch.randn(recording.shape, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    losses = []
    for _ in range(8):
        loss = asr_feature_loss(wanted, tiny(made))
        [gradient] = torch.autograd.grad(loss, made)
        made = (made - 0.05 * gradient / gradient.norm()).detach().requires_grad_()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not list(tiny.parameters()), "the listener itself does not learn"


def test_a_listener_at_another_rate_hears_the_same_clip(speech: np.ndarray, tiny: AsrEncoder) -> None:
    from torchaudio.functional import resample

    faster = resample(torch.from_numpy(speech)[None], 16_000, 24_000)
    at_24k = open_asr_encoder("tiny.en", 24_000)
    assert asr_feature_loss(tiny(torch.from_numpy(speech)[None]), at_24k(faster)).item() < 0.1


def _model_file(path: Path, name: str, kind: int, content: bytes, shape: tuple[int, ...]) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    variable = text(name) + struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    variable += struct.pack("<BI", kind, len(content)) + content
    path.write_bytes(struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, 1) + variable)
    return path


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no model")
    with pytest.raises(ConfigurationError, match="cannot be read as a CTranslate2 model"):
        read_encoder(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_encoder(tmp_path / "missing")
    weight = np.zeros((2, 2, 3), np.float16)
    other = _model_file(tmp_path / "other", "decoder/conv1/weight", 4, weight.tobytes(), weight.shape)
    with pytest.raises(ConfigurationError, match="no Whisper encoder"):
        read_encoder(other)
    quantized = _model_file(tmp_path / "int8", "encoder/conv1/weight", 1, bytes(12), (2, 2, 3))
    with pytest.raises(ConfigurationError, match="quantized"):
        read_encoder(quantized)
