"""`valle codec train` at 44.1 kHz, from a folder of audio to a codec that is opened by its name."""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, read_audio
from valle.cli import main
from valle.codec import open_codec
from valle.codec_training.export import export_run

HOP = 588


def test_a_trained_run_is_exported_stored_and_opened_as_mini_44khz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
    folder, weights = tmp_path / "audio", tmp_path / "mini_44khz.safetensors"
    folder.mkdir()
    for clip in islice(demo_clips(), 4):
        shutil.copy(clip.path, folder)
    asked = ["codec", "train", "--audio", str(folder), "--run", "wide", "--sample-rate", "44100"]
    # One step of each stage; a codebook needs 1024 frames, which three batches of 4 x 96 have.
    small = ["--steps", "2", "--batch-size", "4", "--fitting-batches", "3"]
    assert main([*asked, *small, "--data", str(tmp_path / "data")]) == 0
    header = export_run(tmp_path / "data" / "runs" / "wide", weights)
    assert header.provenance.num_steps == 2
    assert weights.stat().st_size < 12e6
    assert main(["models", "fetch", "mini_44khz", "--source", str(weights)]) == 0
    codec = open_codec("mini_44khz")
    assert (codec.spec.sample_rate, codec.spec.hop_length, codec.spec.frame_rate) == (44_100, HOP, 75)
    assert codec.spec.revision == header.revision
    speech = read_audio(AudioLocation(str(next(folder.iterdir()))), 44_100).samples[: 40 * HOP + 1]
    [codes] = codec.encode([speech])
    assert codes.shape == (8, 41)
    assert len(np.unique(codes)) > 40, "codebooks that were computed from speech"
    [decoded] = codec.decode([codes])
    assert decoded.shape == (41 * HOP,)
    assert 0 < np.abs(decoded).max() <= 1
