"""Speaker encoders from ONNX files, with a tiny model written byte by byte: the mean of the frames times a matrix."""

import numpy as np
import pytest

from valle.backends.speaker import open_speaker_encoder, speaker_encoder_revision
from valle.backends.speaker.onnx import FRONT_ENDS, OnnxSpeaker, filter_banks
from warehouse.errors import DependencyError

RATE = 16_000


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def value_info(name, *dimensions):
    shape = b"".join(block(1, block(2, one) if isinstance(one, str) else number(1, one)) for one in dimensions)
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def node(kind, inputs, output, attributes=b""):
    return b"".join(block(1, name) for name in inputs) + block(2, output) + block(4, kind) + attributes


def write_model(path, matrix, bands=80):
    """An ONNX file: squares of the features, their mean over time, times the matrix [bands, D]."""
    tensor = b"".join(number(1, size) for size in matrix.shape) + number(2, 1) + block(8, "m")
    tensor += block(9, matrix.astype("<f4").tobytes())
    axes = block(5, block(1, "axes") + number(8, 1) + number(20, 7))
    keep = block(5, block(1, "keepdims") + number(3, 0) + number(20, 2))
    graph = block(1, node("Mul", ["feats", "feats"], "squares"))
    graph += block(1, node("ReduceMean", ["squares"], "mean", axes + keep))
    graph += block(1, node("MatMul", ["mean", "m"], "embs")) + block(2, "g") + block(5, tensor)
    graph += block(11, value_info("feats", "B", "T", bands)) + block(12, value_info("embs", "B", matrix.shape[1]))
    path.write_bytes(number(1, 8) + block(7, graph) + block(8, number(2, 13)))
    return path


@pytest.fixture
def matrix():
    return np.random.default_rng(1).standard_normal((80, 6)).astype(np.float32)


@pytest.fixture
def clip():
    return (np.random.default_rng(0).standard_normal(RATE) * 0.1).astype(np.float32)


def test_a_model_gets_filter_banks_and_gives_a_unit_vector(matrix, clip, tmp_path):
    encoder = OnnxSpeaker(write_model(tmp_path / "m.onnx", matrix), FRONT_ENDS["campplus"])
    (voice,) = encoder.embed([clip])
    expected = np.square(filter_banks(clip, FRONT_ENDS["campplus"])).mean(axis=0) @ matrix
    assert np.allclose(voice, expected / np.linalg.norm(expected), atol=1e-5)


def test_filter_banks_have_a_frame_every_ten_milliseconds_and_no_mean(clip):
    for front_end in FRONT_ENDS.values():
        banks = filter_banks(clip, front_end)
        assert banks.shape == (98, 80)
        assert np.abs(banks.mean(axis=0)).max() < 1e-3


def test_a_tone_lies_in_the_band_of_its_pitch():
    def band(frequency):
        wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)
        wave[: RATE // 2] *= 0.01  # the mean over time is taken off, so loudness must change
        return int(filter_banks(wave.astype(np.float32), FRONT_ENDS["campplus"])[-20:].mean(axis=0).argmax())

    assert band(300) < band(1000) < band(4000)


def test_loudness_does_not_change_a_voice(matrix, clip, tmp_path):
    encoder = OnnxSpeaker(write_model(tmp_path / "m.onnx", matrix), FRONT_ENDS["wespeaker"])
    quiet, loud = encoder.embed([clip, clip * 5])
    assert quiet @ loud == pytest.approx(1.0, abs=1e-3)


def test_front_ends_differ_and_go_with_the_name(matrix, clip):
    hamming, povey = filter_banks(clip, FRONT_ENDS["wespeaker"]), filter_banks(clip, FRONT_ENDS["campplus"])
    assert not np.allclose(hamming, povey, atol=1e-2)


def test_silence_and_clicks_have_no_voice(matrix, clip, tmp_path):
    encoder = OnnxSpeaker(write_model(tmp_path / "m.onnx", matrix), FRONT_ENDS["campplus"])
    silent, short, fine = encoder.embed([np.zeros(RATE, np.float32), clip[:100], clip])
    assert np.isnan(silent).all()
    assert np.isnan(short).all()
    assert silent.shape == fine.shape == (6,)


def test_another_model_or_no_model_is_one_sentence(matrix, tmp_path):
    with pytest.raises(DependencyError, match="not filter banks"):
        OnnxSpeaker(write_model(tmp_path / "m.onnx", matrix[:40], bands=40), FRONT_ENDS["campplus"])
    (tmp_path / "n.onnx").write_bytes(b"<html>not found</html>")
    with pytest.raises(DependencyError, match="is no ONNX model"):
        OnnxSpeaker(tmp_path / "n.onnx", FRONT_ENDS["campplus"])


def test_encoders_are_opened_by_name_from_the_models_folder(matrix, clip, tmp_path, monkeypatch):
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path))
    with pytest.raises(DependencyError, match=r"campplus\.onnx does not exist: save the checkpoint of 3D-Speaker"):
        open_speaker_encoder("campplus")
    write_model(tmp_path / "campplus.onnx", matrix)
    assert open_speaker_encoder("campplus").embed([clip])[0].shape == (6,)
    assert speaker_encoder_revision("campplus").startswith("campplus@")
