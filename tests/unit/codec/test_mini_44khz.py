"""`mini` at 44.1 kHz: codes computed from a few clips, stored, opened by name, decoded whole and streamed."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, Samples, read_audio
from valle.backends.fetched import fetch_weights
from valle.codec import codec_obstacle, codec_revision, codec_spec, open_codec
from valle.codec.base import Codec
from valle.codec.mini.network import MINI_44KHZ, MiniConfig, MiniNetwork
from valle.codec.mini.weights_file import Provenance, write_weights
from valle.codec_training.band_predictor import BandPredictor
from valle.codec_training.fit import fit_codes
from valle.evaluation.metrics.fidelity import log_mel_distance
from warehouse.errors import DependencyError

NAME, HOP = "mini_44khz", 588
MADE = Provenance(num_steps=0, training_data="demo", licence="Apache-2.0", credits="none")


@pytest.fixture(scope="module")
def clips() -> list[Samples]:
    return [read_audio(AudioLocation(str(clip.path)), 44_100).samples for clip in islice(demo_clips(), 10)]


@pytest.fixture(scope="module")
def computed(clips: list[Samples], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec without a training step: transform, codebooks and bands are computed, the filters are random."""
    torch.manual_seed(0)
    network = MiniNetwork(replace(MINI_44KHZ, dim=16, intermediate_dim=32, decoder_layers=1))
    speech, crop = np.concatenate(clips), 60 * HOP
    features = network.features(torch.from_numpy(speech[: len(speech) // crop * crop].reshape(-1, crop)))
    assert features.shape[0] * features.shape[1] > 1024, "k-means needs a frame for each entry"
    generator = torch.Generator().manual_seed(0)
    fit_codes(network, BandPredictor(network.config), features, num_rounds=1, generator=generator)
    path = tmp_path_factory.mktemp("export") / "export.safetensors"
    write_weights(path, network, MADE)
    return path


@pytest.fixture
def codec(computed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Codec:
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path))
    fetch_weights(NAME, source=computed)
    return open_codec(NAME)


def test_a_stored_file_is_a_codec_at_44_khz_by_name(codec: Codec, clips: list[Samples]) -> None:
    spec = codec.spec
    assert (spec.sample_rate, spec.hop_length, spec.frame_rate, spec.bits_per_second) == (44_100, HOP, 75, 6_000)
    assert codec_spec(NAME) == spec
    assert codec_revision(NAME) == spec.label
    assert codec_obstacle(NAME) is None
    ragged = [clips[0][:size] for size in (1, HOP, HOP + 1, 5 * HOP - 1, 0)]
    together = codec.encode(ragged)
    assert [codes.shape for codes in together] == [(8, frames) for frames in (1, 1, 2, 5, 0)]
    for clip, codes in zip(ragged, together, strict=True):
        np.testing.assert_array_equal(codec.encode([clip])[0], codes)


def test_codes_carry_the_bands_of_the_speech_and_a_stream_decodes_them(codec: Codec, clips: list[Samples]) -> None:
    [codes] = codec.encode(clips[:1])
    [whole], [coarse] = codec.decode([codes]), codec.decode([codes[:1]])
    assert len(whole) == codes.shape[1] * HOP
    assert (
        log_mel_distance(clips[0], whole) < log_mel_distance(clips[0], coarse) < log_mel_distance(clips[0], 0 * coarse)
    )
    stream = codec.stream()
    pieces = [stream.push(codes[:, first : first + 20]) for first in range(0, codes.shape[1], 20)]
    np.testing.assert_allclose(np.concatenate([*pieces, stream.finish()]), whole, atol=1e-4)


def test_without_a_file_the_command_that_stores_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path))
    with pytest.raises(DependencyError, match="valle models fetch mini_44khz --source FILE"):
        open_codec(NAME)


def test_a_file_of_another_rate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(MiniConfig(), dim=16, intermediate_dim=32, decoder_layers=1, codebook_size=4)
    write_weights(tmp_path / "export.safetensors", MiniNetwork(small), MADE)
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
    fetch_weights(NAME, source=tmp_path / "export.safetensors")
    with pytest.raises(DependencyError, match="works at 24000 Hz, not at 44100"):
        open_codec(NAME)


def test_a_trained_file_takes_less_than_12_megabytes() -> None:
    network = MiniNetwork(MINI_44KHZ)
    numbers = sum(tensor.numel() for tensor in network.parameters()) + network.quantizer.codebooks.numel()
    assert 2 * numbers < 12e6
