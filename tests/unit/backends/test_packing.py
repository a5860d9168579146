"""Places of clips in windows of Whisper."""

from itertools import pairwise

import numpy as np
import pytest

from valle.backends.packing import (
    FRAMES,
    GAPS,
    LONGEST_PACKED,
    SAMPLES_PER_FRAME,
    PackedClip,
    fill_window,
    isolate,
    place_clips,
)


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("seed", range(6))
def test_every_short_clip_has_one_place_and_a_gap_to_the_next(seed, gap):
    drawn = np.random.default_rng(seed).integers(0, LONGEST_PACKED, seed * 7).tolist()
    lengths = [*drawn, 0, LONGEST_PACKED, LONGEST_PACKED + 1]
    waveforms = {number: np.full(length, number + 1, np.float32) for number, length in enumerate(lengths)}
    windows = place_clips(waveforms, gap)
    placed = [place.index for window in windows for place in window]
    assert len(placed) == len(set(placed))
    left_out = set(range(len(lengths))) - set(placed)
    assert len(lengths) - 1 in left_out, "too long"
    assert len(left_out) <= 2, "at most the last window has one clip alone"
    for window in windows:
        assert len(window) > 1
        parts = [place.part for place in window]
        assert all(one.stop <= other.start for one, other in pairwise(parts))
        assert all(one.start + one.num_frames + gap <= other.start for one, other in pairwise(window))
        assert parts[0].start >= 0 and parts[-1].stop <= FRAMES
        filled = fill_window(window, waveforms)
        assert len(filled) == FRAMES * SAMPLES_PER_FRAME
        for place in window:
            part = filled[place.part.start * SAMPLES_PER_FRAME : place.part.stop * SAMPLES_PER_FRAME]
            assert set(part.tolist()) <= {0.0, place.index + 1.0}
            assert np.count_nonzero(part) == lengths[place.index]


def test_a_clip_is_isolated_from_the_others():
    waveforms = {0: np.ones(32_000, np.float32), 1: np.ones(48_000, np.float32)}
    ((first, second),) = place_clips(waveforms, gap=50)
    encoded, silence = np.ones((FRAMES, 2), np.float32), np.zeros((FRAMES, 2), np.float32)
    one, other = isolate(encoded, silence, first), isolate(encoded, silence, second)
    assert one[:, 0].sum() == first.num_frames + 50 and other[:, 0].sum() == second.num_frames + 50
    assert not (one * other).any() and not silence.any()


def test_a_decode_that_ends_three_seconds_before_its_clip_stopped_early():
    place = PackedClip(0, start=100, num_frames=200, gap=50)
    assert place.stopped_early(149) and not place.stopped_early(150)
