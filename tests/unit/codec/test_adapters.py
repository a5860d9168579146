"""The contract of every codec adapter, on random weights of its architecture with few channels."""

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import DacModel, MimiConfig, MimiModel

from tests.nemo import NEMO, write_nemo
from valle.backends.fetched import fetch_weights
from valle.codec import open_codec, spec_of_given_codes
from valle.codec.base import Codec
from valle.codec.dac import DacCodec, dac_config, decoder_context
from valle.codec.encodec.stereo import DECODED_RMS, Encodec48Codec, build_encodec_48khz
from valle.codec.mimi import MimiCodec, load_mimi
from valle.codec.nvidia.codec import NvidiaCodec, NvidiaNetwork, load_network
from valle.codec.nvidia.fsq import GroupedFsq
from valle.codec.vocos_mel import HOP_LENGTH, VocosMelCodec, build_vocos_mel
from warehouse.errors import DependencyError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

MIMI = MimiConfig(
    hidden_size=32,
    num_filters=4,
    num_hidden_layers=2,
    intermediate_size=64,
    num_attention_heads=2,
    num_key_value_heads=2,
    head_dim=16,
    codebook_dim=16,
    vector_quantization_hidden_dimension=16,
    upsample_groups=32,
    sliding_window=20,
)


def dac(name: str) -> Codec:
    torch.manual_seed(0)
    config = dac_config(name)
    config.encoder_hidden_size, config.decoder_hidden_size, config.hidden_size = 4, 64, 64
    return DacCodec(DacModel(config), name=name, revision="random")


def nvidia() -> Codec:
    torch.manual_seed(0)
    return NvidiaCodec(NvidiaNetwork(NEMO), name="nvidia_44khz", revision="random")


def small_mimi() -> MimiModel:
    torch.manual_seed(0)
    model = MimiModel(MIMI)
    for module in model.modules():
        if hasattr(module, "embed_sum"):
            module.embed_sum.normal_()
            module.cluster_usage.fill_(1)
    return model


def encodec_48khz() -> Codec:
    torch.manual_seed(0)
    model = build_encodec_48khz()
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_(0, 0.1)
        layer._codebook.inited.fill_(1)
    return Encodec48Codec(model.eval(), name="encodec_48khz", revision="random", num_codebooks=8)


def vocos_mel() -> Codec:
    torch.manual_seed(0)
    return VocosMelCodec(build_vocos_mel(), revision="random")


CODECS: dict[str, Callable[[], Codec]] = {
    "dac_16khz": lambda: dac("dac_16khz"),
    "dac_24khz": lambda: dac("dac_24khz"),
    "dac_44khz": lambda: dac("dac_44khz"),
    "nvidia_44khz": nvidia,
    "mimi": lambda: MimiCodec(small_mimi(), revision="random"),
    "encodec_48khz": encodec_48khz,
    "vocos_mel_24khz": vocos_mel,
}
SHAPES = {
    "dac_16khz": (16_000, 320, 12, 1024),
    "dac_24khz": (24_000, 320, 32, 1024),
    "dac_44khz": (44_100, 512, 9, 1024),
    "nvidia_44khz": (44_100, 512, 8, 1000),
    "mimi": (24_000, 1920, 8, 2048),
    "encodec_48khz": (48_000, 320, 8, 1024),
    "vocos_mel_24khz": (24_000, 256, 100, 256),
}


@pytest.fixture(scope="module", params=list(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    return CODECS[request.param]()


def clips_of(codec: Codec) -> list[np.ndarray]:
    rng, hop = np.random.default_rng(0), codec.spec.hop_length
    return [rng.normal(0, 0.1, size).astype(np.float32) for size in (1, hop, hop + 1, 5 * hop - 1, hop, 0)]


def random_codes(codec: Codec, num_frames: int) -> np.ndarray:
    spec, rng = codec.spec, np.random.default_rng(1)
    return rng.integers(0, spec.codebook_size, (spec.num_codebooks, num_frames)).astype(np.int16)


def test_the_shape_is_the_published_one(codec: Codec) -> None:
    spec = codec.spec
    assert (spec.sample_rate, spec.hop_length, spec.num_codebooks, spec.codebook_size) == SHAPES[spec.name]
    assert spec_of_given_codes(spec.name) == replace(spec, revision=spec_of_given_codes(spec.name).revision)


def test_each_started_hop_is_a_frame_and_batches_equal_single_clips(codec: Codec) -> None:
    clips = clips_of(codec)
    together = codec.encode(clips)
    assert [codes.shape[1] for codes in together] == [1, 1, 2, 5, 1, 0]
    for clip, codes in zip(clips, together, strict=True):
        assert codes.dtype == np.int16
        assert codes.size == 0 or (codes.min() >= 0 and codes.max() < codec.spec.codebook_size)
        np.testing.assert_array_equal(codec.encode([clip])[0], codes)


@pytest.mark.parametrize("num_frames", [1, 2, 37])
def test_any_number_of_codebooks_decodes_to_whole_hops_within_range(codec: Codec, num_frames: int) -> None:
    codes = random_codes(codec, num_frames)
    for count in (1, codec.spec.num_codebooks):
        [waveform] = codec.decode([codes[:count]])
        assert waveform.shape == (num_frames * codec.spec.hop_length,)
        assert waveform.dtype == np.float32
        assert np.abs(waveform).max() <= 1


@pytest.mark.parametrize("size", [1, 13])
def test_streamed_speech_equals_the_whole(codec: Codec, size: int) -> None:
    num_frames = 160 if codec.spec.name == "encodec_48khz" else 40
    codes = random_codes(codec, num_frames)
    stream = codec.stream()
    pieces = [stream.push(codes[:, first : first + size]) for first in range(0, num_frames, size)]
    assert any(len(piece) for piece in pieces), "nothing came before the end"
    whole = codec.decode([codes])[0]
    np.testing.assert_allclose(np.concatenate([*pieces, stream.finish()]), whole, atol=1e-4)


def test_a_frame_is_the_sum_of_its_entries(codec: Codec) -> None:
    codes = random_codes(codec, 3)
    summed = sum(book[row] for book, row in zip(codec.codebooks, codes, strict=True))
    batch = torch.from_numpy(codes.astype(np.int64))[None]
    if isinstance(codec, NvidiaCodec):
        expected = codec._network.quantizer.decode(batch)
    elif isinstance(codec, DacCodec):
        expected = codec._model.quantizer.from_codes(batch)[0]
    elif isinstance(codec, VocosMelCodec):
        expected = codec._levels[batch]
    elif isinstance(codec, Encodec48Codec):
        expected = codec._model.quantizer.decode(batch.transpose(0, 1))
    else:
        assert isinstance(codec, MimiCodec)
        expected = codec._model.quantizer.decode(batch)
    np.testing.assert_allclose(summed, expected[0].T.detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "num_frames", "decoded"),
    [("dac_24khz", 75, 23_992), ("dac_16khz", 50, 15_992), ("dac_44khz", 60, 30_720)],
)
def test_the_decoder_of_dac_ends_early_where_a_stride_is_odd(name: str, num_frames: int, decoded: int) -> None:
    """The rest of the last hop is silence, and no sample is shifted."""
    codec = dac(name)
    assert isinstance(codec, DacCodec)
    codes = torch.from_numpy(random_codes(codec, num_frames).astype(np.int64))[None]
    with torch.inference_mode():
        assert codec.decode_batch(codes).shape == (1, decoded)
    [waveform] = codec.decode([codes[0].numpy().astype(np.int16)])
    assert len(waveform) == num_frames * codec.spec.hop_length
    assert not waveform[decoded:].any()


def test_the_context_of_dac_follows_from_its_kernels() -> None:
    assert decoder_context([8, 8, 4, 2]) == decoder_context([8, 5, 4, 2]) == 11


def test_loudness_does_not_change_the_codes_of_the_48_khz_encodec() -> None:
    codec = encodec_48khz()
    clip = np.random.default_rng(2).normal(0, 0.1, 3_200).astype(np.float32)
    np.testing.assert_array_equal(codec.encode([clip])[0], codec.encode([clip / np.float32(8)])[0])
    assert DECODED_RMS == 0.1


def test_vocos_loses_the_last_frame_of_a_mel_which_the_codec_repeats() -> None:
    codec = vocos_mel()
    assert isinstance(codec, VocosMelCodec)
    tone = 0.3 * torch.sin(torch.arange(8 * HOP_LENGTH) * 0.2)
    with torch.inference_mode():
        log_mels = codec._model.feature_extractor(tone[None])
        assert log_mels.shape == (1, 100, 9), "frames on the borders of eight hops"
        assert codec._model.decode(log_mels[:, :, :8]).shape == (1, 7 * HOP_LENGTH)
    [codes] = codec.encode([tone.numpy()])
    assert codes.shape == (100, 8)
    # Rounded to a level: 23.1 nats have 255 steps.
    np.testing.assert_allclose(codec._levels[torch.from_numpy(codes).long()], log_mels[0, :, :8], atol=0.0454)
    assert codec.decode([codes])[0].shape == (8 * HOP_LENGTH,)


class TestFsq:
    def test_codes_decode_to_a_grid_and_back(self) -> None:
        quantizer = GroupedFsq(2, (8, 5, 5, 5))
        codes = torch.arange(1000).expand(1, 2, 1000)
        latents = quantizer.decode(codes)
        assert latents.shape == (1, 8, 1000)
        assert torch.unique(latents[0, 0]).tolist() == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75]
        assert torch.unique(latents[0, 1]).tolist() == [-1, -0.5, 0, 0.5, 1]
        # A latent far outside saturates at its level, so the corners come back.
        assert quantizer.encode(latents[:, :, [0]] * 100).flatten().tolist() == [0, 0]

    def test_code_0_is_a_corner_and_the_middle_is_zero(self) -> None:
        quantizer = GroupedFsq(1, (8, 5, 5, 5))
        assert quantizer.decode(torch.zeros(1, 1, 1, dtype=torch.long)).flatten().tolist() == [-1] * 4
        assert quantizer.middle == 500 - 4 + 4 == 500
        assert quantizer.decode(torch.full((1, 1, 1), quantizer.middle)).flatten().tolist() == [0] * 4
        assert quantizer.encode(torch.zeros(1, 4, 1)).item() == quantizer.middle


class TestFiles:
    def test_a_nemo_file_loads_with_its_weight_normalization_multiplied_out(self, tmp_path: Path) -> None:
        written = write_nemo(tmp_path / "codec.nemo")
        loaded = load_network(tmp_path / "codec.nemo")
        assert loaded.config == NEMO
        for name, tensor in written.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], tensor)

    def test_a_nemo_file_of_another_architecture_is_refused(self, tmp_path: Path) -> None:
        write_nemo(tmp_path / "codec.nemo", encoder="MultiResolutionEncoder")
        with pytest.raises(DependencyError, match="only HiFiGANEncoder is supported"):
            load_network(tmp_path / "codec.nemo")

    def test_a_damaged_nemo_file_is_one_sentence(self, tmp_path: Path) -> None:
        write_nemo(tmp_path / "whole.nemo")
        with tarfile.open(tmp_path / "whole.nemo") as whole, tarfile.open(tmp_path / "weights.nemo", "w") as damaged:
            for member in whole.getmembers():
                stream = whole.extractfile(member)
                content = b"no pickle" if stream is None or "yaml" not in member.name else stream.read()
                member.size = len(content)
                damaged.addfile(member, io.BytesIO(content))
        (tmp_path / "codec.nemo").write_bytes(b"not a tar")
        for name in ("codec", "weights"):
            with pytest.raises(DependencyError, match="is not a readable audio codec of NeMo"):
                load_network(tmp_path / f"{name}.nemo")

    def test_mimi_loads_the_names_of_the_published_tensors(self, tmp_path: Path) -> None:
        model = small_mimi()
        model.save_pretrained(tmp_path)
        loaded = load_mimi(tmp_path / "model.safetensors", MIMI)
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], tensor)

    def test_vocos_loads_the_tensors_of_its_published_class(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
        torch.manual_seed(1)
        written = build_vocos_mel().state_dict()
        torch.save(written, tmp_path / "pytorch_model.bin")
        stored = fetch_weights("vocos-mel-24khz", source=tmp_path / "pytorch_model.bin")
        opened = open_codec("vocos_mel_24khz")
        assert isinstance(opened, VocosMelCodec)
        assert stored.stem == f"vocos-mel-24khz-{opened.spec.revision}"
        for name, tensor in written.items():
            torch.testing.assert_close(opened._model.state_dict()[name], tensor)
        for damaged in ({"other": torch.zeros(1)}, [torch.zeros(1)], Path("a")):
            torch.save(damaged, stored)
            with pytest.raises(DependencyError, match="holds other tensors than Vocos"):
                open_codec("vocos_mel_24khz")
        for content in (b"", b"no pickle", stored.read_bytes()[:200]):
            stored.write_bytes(content)
            with pytest.raises(DependencyError, match="holds other tensors than Vocos"):
                open_codec("vocos_mel_24khz")

    def test_tensors_that_are_not_those_of_mimi_are_refused(self, tmp_path: Path) -> None:
        save_file({"other": torch.zeros(1)}, tmp_path / "model.safetensors")
        with pytest.raises(DependencyError, match="holds other tensors than Mimi"):
            load_mimi(tmp_path / "model.safetensors", MIMI)
