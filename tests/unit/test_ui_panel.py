"""Panels of the page are made from option models."""

import pytest

gr = pytest.importorskip("gradio")

from valle.synthesis.options import SamplingOptions  # noqa: E402
from valle.ui.panel import build_panel, read_panel, simple_fields  # noqa: E402


def test_a_panel_has_a_component_per_field_and_gives_the_model_back():
    given = SamplingOptions(temperature=0.5, decoding="nar-len", duration_scale=1.5, seed=7)
    with gr.Blocks():
        panel = build_panel(SamplingOptions, given)
    names = list(simple_fields(SamplingOptions))
    assert {"temperature", "top_k", "decoding", "continues_prompt", "seed"} <= set(names)
    assert [component.info for component in panel] == [SamplingOptions.model_fields[name].description for name in names]
    by_name = dict(zip(names, panel, strict=True))
    assert (by_name["top_p"].minimum, by_name["top_p"].maximum, by_name["seed"].maximum) == (0, 1, None)
    assert read_panel(SamplingOptions, [component.value for component in panel]) == given


def test_values_that_contradict_each_other_are_a_sentence():
    names = list(simple_fields(SamplingOptions))
    values = [getattr(SamplingOptions(), name) for name in names]
    values[names.index("duration_scale")] = 2.0
    with pytest.raises(gr.Error, match="decoding=ar makes no use of duration_scale"):
        read_panel(SamplingOptions, values)
