import numpy as np
import pytest

from valle.data.selection.similar import _BLOCK, MAX_SIMILAR, nearest_clips


def unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_nearest_clips_come_first_and_a_clip_is_not_its_own():
    angles = np.radians([0, 10, 25, 30])
    found = nearest_clips(unit(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    assert [row[row >= 0].tolist() for row in found] == [[1, 2, 3], [0, 2, 3], [3, 1, 0], [2, 1, 0]]


def test_what_is_another_voice_is_left_out():
    found = nearest_clips(unit([[1, 0], [0.3, 1], [1, 0.1]]))
    assert [row[row >= 0].tolist() for row in found] == [[2], [], [0]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_speaker_with_few_clips_has_fewer(count):
    assert ((nearest_clips(unit(np.ones((count, 3)))) >= 0).sum(axis=1) == count - 1).all()


def test_a_speaker_of_many_clips_is_compared_block_by_block():
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(_BLOCK + 70, 3)))
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    for row in (0, _BLOCK - 1, _BLOCK, _BLOCK + 69):
        assert set(nearest_clips(vectors)[row]) == set(np.argsort(-cosines[row])[:MAX_SIMILAR])
