import hashlib

import numpy as np
import pytest
import torch
from encodec.model import EncodecModel
from huggingface_hub.errors import LocalEntryNotFoundError

from valle.codec import codec_revision, open_codec
from valle.codec.encodec import quantizer
from valle.codec.encodec.convolutions import CausalConvolution, FastElu
from valle.codec.encodec.encoder import PIECE_CONTEXT, PIECE_FRAMES
from valle.codec.encodec.mono import EncodecCodec, VocosDecoder, load_encodec
from valle.codec.encodec.quantizer import NearestEntries
from warehouse.errors import DependencyError

# EnCodec's package still uses the old weight_norm of torch.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Weights of the published shapes with random values, laid out as the downloads are."""
    directory = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    model = EncodecModel.encodec_model_24khz(pretrained=False)
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_(0, 0.1)
        layer._codebook.inited.fill_(1)
    unnamed = directory / "weights.th"
    torch.save(model.state_dict(), unnamed)
    unnamed.rename(directory / f"encodec_24khz-{hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]}.th")
    extra = {"feature_extractor.codebook_weights": torch.zeros(4, 128)}
    torch.save(VocosDecoder().state_dict() | extra, directory / "vocos-encodec-24khz-00000000.bin")
    return directory


@pytest.fixture
def cached(models, monkeypatch):
    monkeypatch.setenv("VALLE_MODELS", str(models))
    return models


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "empty"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    return tmp_path / "empty"


def test_cached_weights_encode_one_frame_per_started_hop_and_batches_as_single_clips(cached):
    codec = open_codec("encodec_24khz")
    rng = np.random.default_rng(0)
    ragged_clips = [rng.normal(0, 0.1, length).astype(np.float32) for length in (321, 1, 4_000, 321, 320)]
    together = codec.encode(ragged_clips)
    assert [codes.shape for codes in together] == [(8, -(-len(clip) // 320)) for clip in ragged_clips]
    assert all(codes.dtype == np.int16 for codes in together)
    for clip, codes in zip(ragged_clips, together, strict=True):
        np.testing.assert_array_equal(codec.encode([clip])[0], codes)


def test_the_codes_are_those_of_the_library(cached):
    codec = open_codec("encodec_24khz")
    clip = np.random.default_rng(0).normal(0, 0.1, 5_000).astype(np.float32)
    library = EncodecModel.encodec_model_24khz(pretrained=False)
    library.load_state_dict(torch.load(next(cached.glob("*.th")), weights_only=True))
    library.set_target_bandwidth(6.0)
    with torch.no_grad():
        [(expected, _)] = library.eval().encode(torch.from_numpy(clip)[None, None])
    np.testing.assert_array_equal(codec.encode([clip])[0], expected[0].numpy())


def test_padded_batches_of_unequal_clips_have_the_codes_of_the_library_and_bounded_memory(cached):
    """Codes do not depend on neighbours, padding, pieces of the convolutions or the bound of a batch."""
    rng = np.random.default_rng(8)
    clips = [rng.normal(0, 0.1, size).astype(np.float32) for size in (26_111, 9_600, 0, 30_080, 1)]
    weights = next(cached.glob("encodec_24khz-*.th"))
    library = EncodecModel.encodec_model_24khz(pretrained=False)
    library.load_state_dict(torch.load(weights, weights_only=True))
    library.set_target_bandwidth(6.0)
    with torch.no_grad():
        expected = [library.eval().encode(torch.from_numpy(clip)[None, None])[0][0] for clip in clips if len(clip)]
    expected.insert(2, torch.zeros(1, 8, 0))
    for batch_seconds in (2.0, 60.0):
        model = load_encodec(EncodecModel.encodec_model_24khz(pretrained=False), weights)
        samples: list[int] = []
        first = model.encoder.model[0].conv.conv  # Padding for its kernel of seven samples is part of its input.
        first.register_forward_pre_hook(lambda _, inputs, to=samples: to.append(inputs[0].shape[2] - 6))
        frames: list[int] = []
        lstm = next(module for module in model.modules() if isinstance(module, torch.nn.LSTM))
        lstm.register_forward_pre_hook(lambda _, inputs, to=frames: to.append(inputs[0][..., 0].numel()))
        codec = EncodecCodec(model, name="x", revision="x", num_codebooks=8, batch_seconds=batch_seconds)
        for codes, wanted in zip(codec.encode(clips), expected, strict=True):
            np.testing.assert_array_equal(codes, wanted[0].numpy())
        assert max(samples) <= (PIECE_FRAMES + PIECE_CONTEXT) * 320
        assert max(frames) <= batch_seconds * 75
        assert (len(frames) == 1) == (batch_seconds == 60)


def test_nearest_entries_are_those_of_the_library_in_pieces_of_any_number_of_frames(cached, monkeypatch):
    model = EncodecModel.encodec_model_24khz(pretrained=False)
    model.load_state_dict(torch.load(next(cached.glob("encodec_24khz-*.th")), weights_only=True))
    latents = torch.randn(1, 128, 100, generator=torch.Generator().manual_seed(0))
    expected = model.quantizer.encode(latents, model.frame_rate, 6.0)[:, 0]
    entries = NearestEntries(model.quantizer.vq.layers[:8])
    for frames in (1024, 64):
        monkeypatch.setattr(quantizer, "FRAMES", frames)
        assert torch.equal(entries.encode(latents[0]), expected)


def test_a_convolution_pads_as_the_library_does_where_a_clip_is_shorter_than_its_kernel(cached):
    model = EncodecModel.encodec_model_24khz(pretrained=False).eval()
    first, *_, last = model.encoder.model
    with torch.no_grad():
        for layer in (first, last):
            channels = layer.conv.conv.in_channels
            for length in (1, 3, 6, 7, 8, 30):
                inputs = torch.randn(2, channels, length, generator=torch.Generator().manual_seed(length))
                plain = CausalConvolution(layer, is_activated=False)
                torch.testing.assert_close(plain(inputs), layer(inputs), rtol=0, atol=0)
                activated = CausalConvolution(layer, is_activated=True)
                torch.testing.assert_close(activated(inputs), layer(torch.nn.functional.elu(inputs)))


def test_the_fast_activation_is_that_of_torch():
    inputs = torch.cat([torch.linspace(-20, 20, 4_001), torch.logspace(-30, 0, 500), -torch.logspace(-30, 0, 500)])
    torch.testing.assert_close(FastElu()(inputs), torch.nn.functional.elu(inputs), atol=1e-7, rtol=0)


def test_a_frame_is_the_sum_of_its_entries(cached):
    codec = open_codec("encodec_24khz")
    codes = np.random.default_rng(0).integers(0, 1024, (8, 5))
    summed = sum(book[row] for book, row in zip(codec.codebooks, codes, strict=True))
    features = codec._model.quantizer.decode(torch.from_numpy(codes)[:, None])
    np.testing.assert_allclose(summed, features[0].T.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_24khz+vocos"])
def test_both_decoders_turn_any_number_of_codebooks_into_whole_hops(cached, name):
    codec = open_codec(name)
    codes = codec.encode([np.random.default_rng(0).normal(0, 0.1, 4_000).astype(np.float32)])[0]
    for num_band_energies in (1, 2, 3, 8):
        [waveform] = codec.decode([codes[:num_band_energies]])
        assert waveform.shape == (13 * 320,)
        assert waveform.dtype == np.float32
        assert np.abs(waveform).max() <= 1


def test_the_revision_is_the_hash_in_the_file_name_and_both_decoders_share_it(cached):
    revision = next(cached.glob("*.th")).stem.split("-")[1]
    assert codec_revision("encodec_24khz") == f"encodec_24khz@{revision}"
    assert open_codec("encodec_24khz+vocos").spec.revision == revision


def test_without_a_file_the_revision_is_the_published_one(no_network):
    assert codec_revision("encodec_24khz") == "encodec_24khz@d7cc33bc"


def test_without_weights_and_network_one_sentence_names_the_command(no_network):
    with pytest.raises(DependencyError, match=r"valle models fetch encodec_24khz"):
        open_codec("encodec_24khz")


def test_without_vocos_weights_the_command_for_them_is_named(cached, monkeypatch, tmp_path):
    partly = tmp_path / "partly"
    partly.mkdir()
    weights = next(cached.glob("*.th"))
    (partly / weights.name).symlink_to(weights)

    def unreachable(*_, **__):
        raise LocalEntryNotFoundError("no network")  # what the library says after some thirty seconds of retries

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    monkeypatch.setenv("VALLE_MODELS", str(partly))
    with pytest.raises(DependencyError, match="valle models fetch vocos-encodec-24khz"):
        open_codec("encodec_24khz+vocos")


@pytest.mark.parametrize(("name", "count"), [("1.5kbps", 2), ("3kbps", 4), ("12kbps", 16), ("24kbps", 32)])
def test_a_bit_rate_is_a_number_of_codebooks_and_a_lower_one_a_prefix(cached, name, count):
    codec = open_codec(f"encodec_24khz_{name}")
    clip = np.random.default_rng(0).normal(0, 0.1, 3_200).astype(np.float32)
    codes, usual = codec.encode([clip])[0], open_codec("encodec_24khz").encode([clip])[0]
    assert codes.shape == (count, 10)
    assert codec.spec.bits_per_second == float(name.removesuffix("kbps")) * 1000
    np.testing.assert_array_equal(codes[:8], usual[:count])
    assert codec.decode([codes])[0].shape == (3_200,)


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_24khz+vocos"])
@pytest.mark.parametrize("sizes", [[80], [1] * 80, [3] * 26 + [2], [5], [40, 0, 40]], ids=str)
def test_streamed_speech_equals_the_whole(cached, name, sizes):
    codec = open_codec(name)
    codes = np.random.default_rng(5).integers(0, 1024, (4, sum(sizes))).astype(np.int16)
    stream, pieces, first = codec.stream(), [], 0
    for size in sizes:
        pieces.append(stream.push(codes[:, first : first + size]))
        first += size
    pieces.append(stream.finish())
    [whole] = codec.decode([codes])
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_encodec_emits_each_frame_at_once_after_the_first_seven(cached):
    codes = np.random.default_rng(6).integers(0, 1024, (8, 12)).astype(np.int16)
    stream = open_codec("encodec_24khz").stream()
    lengths = [len(stream.push(codes[:, frame : frame + 1])) // 320 for frame in range(12)]
    assert lengths == [0] * 6 + [7] + [1] * 5
    assert len(stream.finish()) == 0


def test_a_stream_keeps_no_more_for_a_longer_clip(cached):
    codes = np.random.default_rng(7).integers(0, 1024, (8, 300)).astype(np.int16)
    stream = open_codec("encodec_24khz").stream()
    kept = []
    for first in range(0, 300, 20):
        stream.push(codes[:, first : first + 20])
        kept.append(stream._hidden.numel() + stream._latents.numel())
    assert len(set(kept)) == 1
