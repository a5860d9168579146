import numpy as np
import pytest

from valle.model.layout import Mode, PositionStride
from valle.model.placement import layout_batch, row_length
from valle.tasks.mixtures.suppression import SUPPRESSION
from valle.tasks.tts import TTS


def lengths(*, text, prompt, target):
    ones = np.ones(len(text), dtype=np.int64)
    return {
        "text": np.array(text),
        "language": ones,
        "codebook": ones,
        "prompt": np.array(prompt),
        "target": np.array(target),
    }


def test_positions_of_the_published_example_restart_per_field():
    # valle_system.md section 10: phonemes 5, prompt 3, target 2 give 0-5, 0-1, 0-1, 0-3, 0-1.
    placement = layout_batch(TTS.layout(Mode.NAR), lengths(text=[5], prompt=[3], target=[2]), PositionStride())
    assert placement.positions[0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 0, 1, 2, 3, 0, 1]


def test_only_the_text_runs_at_the_stride_of_the_text():
    placement = layout_batch(TTS.layout(Mode.AR), lengths(text=[3], prompt=[2], target=[4]), PositionStride(text=2.5))
    assert placement.positions[0].tolist() == [0, 2.5, 5, 7.5, 0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3]


@pytest.mark.parametrize("mode", [Mode.AR, Mode.NAR_LEN, Mode.NAR])
def test_slots_separators_and_padding_tile_every_row_exactly_once(mode):
    sizes = lengths(text=[5, 2, 7], prompt=[3, 0, 1], target=[2, 4, 1])
    placement = layout_batch(TTS.layout(mode), sizes, PositionStride())
    longest = placement.positions.shape[1]
    used = np.sort(np.concatenate([*placement.slots.values(), placement.separators]))
    expected = np.concatenate([row * longest + np.arange(n) for row, n in enumerate(placement.row_lengths)])
    assert used.tolist() == expected.tolist()
    assert placement.row_lengths.tolist() == row_length(TTS.layout(mode), sizes, PositionStride()).tolist()


def test_a_missing_prompt_takes_its_separator_with_it():
    sizes = lengths(text=[5, 5], prompt=[3, 0], target=[2, 2])
    placement = layout_batch(TTS.layout(Mode.NAR), sizes, PositionStride())
    assert placement.row_lengths.tolist() == [16, 12]
    assert len(placement.separators) == 4 + 3


def test_the_separator_before_the_target_predicts_its_first_frame_and_the_last_frame_the_stop():
    placement = layout_batch(TTS.layout(Mode.AR), lengths(text=[5], prompt=[3], target=[2]), PositionStride())
    assert placement.predictions.tolist() == [13, 14, 15]
    assert 13 in placement.separators
    assert placement.slots["target"].tolist() == [14, 15]


def test_nar_slots_predict_the_frame_they_hold():
    placement = layout_batch(TTS.layout(Mode.NAR), lengths(text=[5, 2], prompt=[3, 1], target=[2, 3]), PositionStride())
    assert placement.predictions.tolist() == placement.slots["target"].tolist()


def test_a_row_without_any_frame_still_predicts_its_first_one():
    placement = layout_batch(TTS.layout(Mode.AR), lengths(text=[5, 3], prompt=[3, 0], target=[0, 0]), PositionStride())
    assert placement.prediction_lengths.tolist() == [1, 1]
    assert set(placement.predictions.tolist()) <= set(placement.separators.tolist())


def test_frames_of_a_group_share_a_slot_and_what_does_not_fill_one_is_no_input():
    sizes = lengths(text=[5, 5], prompt=[3, 3], target=[7, 6])
    placement = layout_batch(TTS.layout(Mode.AR), sizes, PositionStride(group=3))
    assert [len(placement.slots["prompt"]), len(placement.slots["target"])] == [6, 4]
    assert placement.positions.flatten()[placement.slots["target"]].tolist() == [0, 3, 0, 3]
    # The first group, the second, and the one that begins with the last frame or is all stop.
    assert placement.prediction_lengths.tolist() == [3, 3]


def test_an_aligned_field_has_the_slots_of_the_output_and_none_of_its_own():
    layout, ones = SUPPRESSION.layout(Mode.NAR), np.ones(2, dtype=np.int64)
    sizes = lengths(text=[5, 0], prompt=[0, 0], target=[2, 3]) | {"<task>": ones, "mixture": np.array([2, 3])}
    placement = layout_batch(layout, sizes, PositionStride())
    assert placement.slots["mixture"].tolist() == placement.slots["target"].tolist()
    assert placement.row_lengths.tolist() == [14, 9]
    with pytest.raises(AssertionError, match="mixture has as many frames as the output"):
        layout_batch(layout, sizes | {"mixture": np.array([2, 4])}, PositionStride())
