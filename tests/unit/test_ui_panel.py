"""Panels of the page are made from option models."""

from pathlib import Path

import pytest

gr = pytest.importorskip("gradio")

# Below the check, since they import the package that may be absent.
from valle.synthesis.options import SamplingOptions  # noqa: E402
from valle.training.options import TrainSettings  # noqa: E402
from valle.ui.panel import build_panel, panel_fields, panel_values, read_panel  # noqa: E402
from valle.ui.presets import PRESETS  # noqa: E402


def test_a_panel_has_a_component_per_field_and_gives_the_model_back():
    given = SamplingOptions(temperature=0.5, decoding="nar-len", duration_scale=1.5, seed=7, masked={"steps": 9})
    with gr.Blocks():
        panel = build_panel(SamplingOptions, given)
    fields = panel_fields(SamplingOptions)
    assert {"temperature", "top_k", "decoding", "continues_prompt", "seed", "seconds", "dry.base"} <= set(fields)
    assert [component.info for component in panel] == [field.description for field in fields.values()]
    by_name = dict(zip(fields, panel, strict=True))
    assert (by_name["top_p"].minimum, by_name["top_p"].maximum, by_name["seed"].maximum) == (0, 1, None)
    assert read_panel(SamplingOptions, [component.value for component in panel]) == given


def test_a_panel_of_training_has_texts_and_paths():
    values = panel_values(TrainSettings, TrainSettings(), {"model": "nano", "start_from": "runs/a", "max_steps": 5})
    settings = read_panel(TrainSettings, values)
    assert (settings.model, settings.start_from, settings.max_steps) == ("nano", Path("runs/a"), 5)
    assert read_panel(TrainSettings, panel_values(TrainSettings, TrainSettings(), {})) == TrainSettings()


def test_a_number_that_may_be_left_open_is_a_text_and_stays_open():
    with gr.Blocks():
        panel = dict(zip(panel_fields(TrainSettings), build_panel(TrainSettings, TrainSettings()), strict=True))
    assert isinstance(panel["max_seconds"], gr.Textbox) and panel["max_seconds"].value == ""
    values = panel_values(
        TrainSettings, TrainSettings(), {"max_seconds": " ", "sampling.seconds": "2.5", "sampling.decoding": "nar-len"}
    )
    settings = read_panel(TrainSettings, values)
    assert (settings.max_seconds, settings.sampling.seconds) == (None, 2.5)
    with pytest.raises(gr.Error, match="max_seconds: Input should be a valid number"):
        read_panel(TrainSettings, panel_values(TrainSettings, TrainSettings(), {"max_seconds": "soon"}))


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_are_options(name):
    values = panel_values(SamplingOptions, SamplingOptions(guidance=2, nar_guidance=2), PRESETS[name])
    changed = read_panel(SamplingOptions, values).model_dump()
    for field, value in PRESETS[name].items():
        group, _, last = field.rpartition(".")
        assert (changed[group] if group else changed)[last] == value


def test_values_that_contradict_each_other_are_a_sentence():
    values = panel_values(SamplingOptions, SamplingOptions(), {"duration_scale": 2.0})
    with pytest.raises(gr.Error, match="decoding=ar makes no use of duration_scale"):
        read_panel(SamplingOptions, values)
