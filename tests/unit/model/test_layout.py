import numpy as np
import pytest

from valle.model.layout import LAYOUTS, Codebooks, MaskKind, Mode, place, row_length


def lengths(*, text, prompt, target):
    ones = np.ones(len(text), dtype=np.int64)
    return {
        "text": np.array(text),
        "language": ones,
        "level": ones,
        "prompt": np.array(prompt),
        "target": np.array(target),
    }


def test_each_mode_binds_its_mask_its_shift_and_its_stop():
    ar, nar = LAYOUTS[Mode.AR], LAYOUTS[Mode.NAR]
    assert (ar.mask, ar.shift, ar.has_stop) == (MaskKind.CAUSAL, 1, True)
    assert (nar.mask, nar.shift, nar.has_stop) == (MaskKind.FULL, 0, False)
    assert ar.segment("prompt").codebooks is ar.segment("target").codebooks is Codebooks.FIRST
    assert nar.segment("prompt").codebooks is nar.segment("target").codebooks is Codebooks.BELOW


def test_ar_and_nar_never_share_the_table_of_codebook_0():
    assert LAYOUTS[Mode.AR].segment("target").first_table != LAYOUTS[Mode.NAR].segment("target").first_table


def test_the_output_is_the_last_segment_of_every_layout():
    for layout in LAYOUTS.values():
        assert layout.segments[-1].name == layout.output


def test_positions_of_the_published_example_restart_per_segment():
    # valle_system.md section 10: phonemes 5, prompt 3, target 2 give 0-5, 0-1, 0-1, 0-3, 0-1.
    placement = place(LAYOUTS[Mode.NAR], lengths(text=[5], prompt=[3], target=[2]))
    assert placement.positions[0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 0, 1, 2, 3, 0, 1]


def test_only_the_text_runs_at_the_pace_of_speech():
    placement = place(LAYOUTS[Mode.AR], lengths(text=[3], prompt=[2], target=[4]), text_stride=2.5)
    assert placement.positions[0].tolist() == [0, 2.5, 5, 7.5, 0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3]


@pytest.mark.parametrize("mode", list(Mode))
def test_slots_separators_and_padding_tile_every_row_exactly_once(mode):
    sizes = lengths(text=[5, 2, 7], prompt=[3, 0, 1], target=[2, 4, 1])
    placement = place(LAYOUTS[mode], sizes)
    longest = placement.positions.shape[1]
    used = np.sort(np.concatenate([*placement.slots.values(), placement.separators]))
    expected = np.concatenate([row * longest + np.arange(n) for row, n in enumerate(placement.row_lengths)])
    assert used.tolist() == expected.tolist()
    assert placement.row_lengths.tolist() == row_length(LAYOUTS[mode], sizes).tolist()


def test_a_missing_prompt_takes_its_separator_with_it():
    sizes = lengths(text=[5, 5], prompt=[3, 0], target=[2, 2])
    placement = place(LAYOUTS[Mode.NAR], sizes)
    assert placement.row_lengths.tolist() == [16, 12]
    assert len(placement.separators) == 4 + 3


def test_the_separator_before_the_target_predicts_its_first_frame_and_the_last_frame_the_stop():
    placement = place(LAYOUTS[Mode.AR], lengths(text=[5], prompt=[3], target=[2]))
    assert placement.predictions.tolist() == [13, 14, 15]
    assert 13 in placement.separators
    assert placement.slots["target"].tolist() == [14, 15]


def test_nar_slots_predict_the_frame_they_hold():
    placement = place(LAYOUTS[Mode.NAR], lengths(text=[5, 2], prompt=[3, 1], target=[2, 3]))
    assert placement.predictions.tolist() == placement.slots["target"].tolist()


def test_a_row_without_any_frame_still_predicts_its_first_one():
    placement = place(LAYOUTS[Mode.AR], lengths(text=[5, 3], prompt=[3, 0], target=[0, 0]))
    assert placement.prediction_lengths.tolist() == [1, 1]
    assert set(placement.predictions.tolist()) <= set(placement.separators.tolist())
