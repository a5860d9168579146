from dataclasses import replace

import numpy as np
import pytest

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, read_audio
from valle.codec.mini.codec import MiniCodec
from valle.codec.mini.streaming import MiniStream
from valle.codec.mini.weights_file import EMBEDDED, read_network


def streamed(network, codes, sizes):
    decoder = MiniStream(network)
    pieces, first = [], 0
    for size in sizes:
        pieces.append(decoder.push(codes[:, first : first + size]))
        first += size
    assert first == codes.shape[1]
    return [*pieces, decoder.finish()], decoder


@pytest.fixture
def network(random_network, small_config):
    built = random_network(small_config).eval()
    # Voices that rise and fall and stop, as speech does.
    built.decoder.pitch.out.weight.data.mul_(20)
    built.decoder.gains.weight.data.normal_(0, 0.3)
    return built


@pytest.fixture
def codes():
    return np.random.default_rng(2).integers(0, 64, (8, 90)).astype(np.int16)


@pytest.mark.parametrize("sizes", [[90], [1] * 90, [7] * 12 + [6], [60, 0, 30], [3, 87]])
def test_streamed_speech_equals_the_whole(network, codes, sizes):
    [whole] = MiniCodec(network, revision="r").decode([codes])
    pieces, _ = streamed(network, codes, sizes)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_streamed_speech_equals_the_whole_with_other_windows(random_network, small_config, codes):
    network = random_network(replace(small_config, short_window=1280, frames_per_hop=1)).eval()
    [whole] = MiniCodec(network, revision="r").decode([codes])
    pieces, decoder = streamed(network, codes, [1] * 90)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)
    assert decoder.latency_frames == network.decoder.context + 4 + 12 + 1


@pytest.mark.parametrize("clip", [clip.path for clip in list(demo_clips())[::160]], ids=lambda path: path.stem)
def test_speech_streamed_through_the_shipped_weights_equals_the_whole(clip):
    network = read_network(EMBEDDED)
    codec = MiniCodec(network, revision="r")
    [codes] = codec.encode([read_audio(AudioLocation(str(clip)), codec.spec.sample_rate).samples])
    pieces, _ = streamed(network, codes, [7] * (codes.shape[1] // 7) + [codes.shape[1] % 7])
    np.testing.assert_allclose(np.concatenate(pieces), codec.decode([codes])[0], atol=1e-5)


def test_a_minute_of_streamed_speech_does_not_drift_from_the_whole(network):
    codes = np.random.default_rng(4).integers(0, 64, (8, 4500)).astype(np.int16)
    [whole] = MiniCodec(network, revision="r").decode([codes])
    pieces, _ = streamed(network, codes, [150] * 30)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=5e-6)


def test_speech_leaves_as_soon_as_its_context_is_known(network, codes):
    pieces, decoder = streamed(network, codes, [1] * 90)
    spoken = np.cumsum([len(piece) for piece in pieces[:-1]]) // 320
    for pushed, frames in enumerate(spoken, start=1):
        assert frames == max(0, pushed - decoder.latency_frames)


def test_mini_speaks_a_frame_when_38_later_ones_are_known():
    assert MiniStream(read_network(EMBEDDED)).latency_frames == 38  # docs/codec.md says so


def test_what_is_kept_does_not_grow_with_the_clip(network):
    codes = np.random.default_rng(3).integers(0, 64, (8, 400)).astype(np.int16)
    decoder = MiniStream(network)
    held = []
    for first in range(0, 400, 10):
        decoder.push(codes[:, first : first + 10])
        kept = (decoder._latents, decoder._energies, decoder._filters.harmonics, decoder._train, decoder._noise)
        held.append(sum(buffer.numel() for buffer in kept))
    assert max(held[20:]) == max(held[10:20])


def test_a_clip_shorter_than_the_context_leaves_at_the_end(network, codes):
    [whole] = MiniCodec(network, revision="r").decode([codes[:2, :3]])
    pieces, _ = streamed(network, codes[:2, :3], [3])
    assert [len(piece) for piece in pieces] == [0, 960]
    np.testing.assert_allclose(pieces[1], whole, atol=1e-4)
    assert len(MiniStream(network).finish()) == 0
