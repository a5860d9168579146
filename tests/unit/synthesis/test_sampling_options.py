"""No option is ignored: each is a flag, a key of a YAML file, a field of the form, and changes the speech."""

import itertools
from functools import reduce

import numpy as np
import pytest
import torch
import yaml
from pydantic import BaseModel, ValidationError

from flows.parameters import EvaluateParameters
from tests.golden.toy_model import SIZE, toy_model
from tests.unit.cli.parsing import parse_options
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.synthesis.sampling import sample_frame, start
from warehouse.errors import ConfigurationError

FLAT = torch.randn(64, generator=torch.Generator().manual_seed(0))
SURE = FLAT.index_fill(0, torch.tensor([5]), 7.0)
HISTORY = torch.tensor([1, 2, 3, 1, 2, 3, 3, 1, 2])
STOP = 9
LIKELY_STOP = FLAT.index_fill(0, torch.tensor([STOP]), 2.0)
MIROSTAT = {"mirostat": {"tau": 3.0}}
DRY = {"dry": {"multiplier": 2.0}}
AWARE = {"repetition_aware": {"window": 5}, "top_k": 3}
ADAPTIVE = {"adaptive": {"enabled": True}}

OF_A_FRAME = {
    "temperature": (FLAT, {}, 0.3),
    "min_temperature": (SURE, {}, 0.1),
    "top_k": (FLAT, {}, 4),
    "top_p": (FLAT, {}, 0.4),
    "min_p": (FLAT, {}, 0.4),
    "top_sigma": (FLAT, {}, 0.7),
    "repetition_penalty": (FLAT, {}, 3.0),
    "repetition_window": (FLAT, {"repetition_penalty": 3.0}, 1),
    "repetition_decay": (FLAT, {"repetition_penalty": 9.0}, 2.0),
    "length_penalty": (LIKELY_STOP, {}, 1.0),
    "suppressed_codes": (SURE, {}, (5, 7)),
    "dry.multiplier": (FLAT, {}, 5.0),
    "dry.base": (FLAT.index_fill(0, torch.tensor([3]), 4.0), DRY, 6.0),
    "dry.allowed_length": (FLAT.index_fill(0, torch.tensor([3]), 4.0), DRY, 7),
    "mirostat.tau": (FLAT, {}, 2.0),
    "mirostat.eta": (FLAT, MIROSTAT, 1.0),
    "repetition_aware.window": (SURE.index_fill(0, torch.tensor([2]), 7.0), {"top_k": 2}, 4),
    "repetition_aware.threshold": (SURE.index_fill(0, torch.tensor([2]), 7.0), AWARE, 0.5),
    "adaptive.enabled": (FLAT, {}, True),
    "adaptive.low_entropy": (SURE, ADAPTIVE | {"adaptive": {"enabled": True, "low_varentropy": 99}}, 9.0),
    "adaptive.low_varentropy": (SURE, ADAPTIVE | {"adaptive": {"enabled": True, "low_entropy": 9}}, 99.0),
    "adaptive.high_entropy": (FLAT, {"adaptive": {"enabled": True, "low_varentropy": 4}}, 1.0),
    "adaptive.high_varentropy": (FLAT, ADAPTIVE, 0.2),
    "adaptive.candidates": (FLAT, ADAPTIVE, 1),
}
"""Of every option that one frame depends on: logits, the options it needs beside it, and another value."""

MASKED = {"decoding": "nar-len", "masked": {"steps": 6}}
GUIDED = MASKED | {"guidance": 4.0, "guidance_rescale": 0.0}
UNCAPPED = MASKED | {"max_seconds": 9}

OF_AN_UTTERANCE = {
    "decoding": ({}, "nar-len"),
    "guidance": ({}, 4.0),
    "guidance_rescale": ({"guidance": 6.0}, 0.0),
    "nar_guidance": ({}, 6.0),
    "masked.steps": (MASKED, 2),
    "masked.score": (MASKED, "random"),
    "masked.remask": (MASKED, True),
    "masked.anneals_guidance": (GUIDED, True),
    "masked.prefix_seconds": (MASKED, 0.2),
    "duration": (UNCAPPED, "average"),
    "seconds": (MASKED, 0.3),
    "duration_scale": (UNCAPPED, 1.7),
    "beam.width": ({}, 3),
    "beam.length_exponent": ({"beam": {"width": 4}, "suppressed_codes": ()}, 0.0),
    "nar_temperature": ({}, 1.0),
    "refine": ({}, True),
    "likeliest_of": ({}, 4),
    "seed": ({}, 3),
    "max_seconds": ({}, 0.1),
}
"""The same of those that only a whole utterance shows."""

ONLY_NAR_LEN = ("masked", "duration", "seconds", "duration_scale")
OF_AN_AR_ALONE = {
    *("min_temperature", "repetition_penalty", "length_penalty", "dry.multiplier", "dry.base", "dry.allowed_length"),
    *("mirostat.tau", "mirostat.eta", "repetition_aware.window", "repetition_aware.threshold", "beam.width"),
    *(
        "beam.length_exponent",
        "min_duration_ratio",
        "refine",
        "likeliest_of",
        *(path for path in OF_A_FRAME if path.startswith("adaptive.")),
    ),
}

ELSEWHERE = {
    "min_duration_ratio": 0.5,  # below
    "continues_prompt": True,  # tests/unit/synthesis/test_synthesizer.py
    "continuation": "task",  # there and in test_modes.py
}

CHANGED = {
    **{name: value for name, (_, _, value) in OF_A_FRAME.items()},
    **{name: value for name, (_, value) in OF_AN_UTTERANCE.items()},
    **ELSEWHERE,
}


def paths(model, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def alone(path, value):
    """An option beside nothing but the way to decode that makes use of it."""
    way = {"decoding": "nar-len"} if path.partition(".")[0] in ONLY_NAR_LEN else {}
    return way | reduce(lambda inside, name: {name: inside}, reversed(path.split(".")), value)


def merged(options, path, value):
    group, _, name = path.partition(".")
    return {**options, group: {**options.get(group, {}), name: value} if name else value}


def value_at(options, path):
    return reduce(getattr, path.split("."), options)


def test_every_option_is_looked_at_here():
    assert set(CHANGED) == set(paths(SamplingOptions))
    assert all(value_at(SamplingOptions(), path) != value for path, value in CHANGED.items())


@pytest.mark.parametrize("path", CHANGED)
def test_every_option_is_a_flag_of_speak(path):
    value = CHANGED[path]
    flag = f"--sampling.{path.replace('_', '-')}"
    given = [flag] if value is True else [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    if "decoding" in (expected := alone(path, value)) and path != "decoding":
        given += ["--sampling.decoding", expected["decoding"]]
    options = parse_options("speak", "some text", *given)
    assert options.sampling == SamplingOptions(**expected)


@pytest.mark.parametrize("path", CHANGED)
def test_every_option_is_a_key_of_a_yaml_file(path, tmp_path):
    value = CHANGED[path]
    file = tmp_path / "options.yaml"
    content = alone(path, list(value) if isinstance(value, tuple) else value)
    file.write_text(yaml.safe_dump({"sampling": content}))
    options = parse_options("speak", "some text", config=file)
    assert options.sampling == SamplingOptions(**alone(path, value))


def test_every_option_is_a_field_of_the_form_of_evaluations_with_what_it_does():
    schema = EvaluateParameters.model_json_schema()
    for path in paths(SamplingOptions):
        properties = schema["$defs"]["SamplingOptions"]["properties"]
        for name in path.split("."):
            field = properties[name]
            assert field["description"].endswith(".")
            properties = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
        assert "default" in field


def said(logits, **options):
    """60 codes, with the state carried on and the history as it is."""
    chosen = SamplingOptions(**options)
    state, generator, codes = start(chosen), torch.Generator().manual_seed(1), []
    for _ in range(60):
        code, state = sample_frame(logits, HISTORY, chosen, state, generator, stop=STOP)
        codes.append(code)
    return codes


@pytest.mark.parametrize("path", OF_A_FRAME)
def test_every_option_of_a_frame_changes_the_codes(path):
    logits, beside, value = OF_A_FRAME[path]
    assert said(logits, **merged(beside, path, value)) != said(logits, **beside)


def test_the_same_options_give_the_same_codes():
    for options in ({}, MIROSTAT, ADAPTIVE, AWARE):
        assert said(FLAT, **options) == said(FLAT, **options)


@pytest.mark.parametrize("path", OF_AN_UTTERANCE)
def test_every_option_of_an_utterance_changes_the_codes(path):
    beside, value = OF_AN_UTTERANCE[path]
    condition = Condition(np.arange(1, 7), 1, None, np.zeros((4, 0), np.int16))
    common = {"max_seconds": 0.5, "suppressed_codes": (SIZE,), **beside}
    plain, changed = decode(
        toy_model(), [condition] * 2, [SamplingOptions(**common), SamplingOptions(**merged(common, path, value))]
    )
    assert plain.codes.shape != changed.codes.shape or not np.array_equal(plain.codes, changed.codes)


@pytest.mark.parametrize("beside", [{}, {"beam": {"width": 2}}, {"guidance": 2.0}])
@pytest.mark.parametrize(
    ("min_duration_ratio", "num_prefix", "num_frames"), [(0.0, 0, 0), (0.5, 0, 4), (1.0, 0, 8), (1.0, 3, 5)]
)
def test_there_is_no_end_before_the_share_of_the_average_that_was_asked_for(
    beside, min_duration_ratio, num_prefix, num_frames
):
    model = toy_model()
    model.heads.bias.data[model.config.stop] = 1e4  # a model that is always at its end
    symbols = np.arange(1, 9 + 2) % 9  # with a beginning and an end, and one frame each on average
    condition = Condition(symbols, 1, None, np.ones((4, num_prefix), np.int16))
    [decoded] = decode(
        model, [condition], [SamplingOptions(min_duration_ratio=min_duration_ratio, max_seconds=2, **beside)]
    )
    assert decoded.codes.shape == (4, num_frames)
    assert decoded.is_complete


@pytest.mark.parametrize(
    "pair",
    list(itertools.combinations((MIROSTAT, {"repetition_aware": {"window": 5}}, ADAPTIVE, {"beam": {"width": 2}}), 2)),
)
def test_two_ways_to_draw_at_once_are_refused_because_one_would_be_ignored(pair):
    with pytest.raises(ValidationError, match="choose one"):
        SamplingOptions(**pair[0], **pair[1])


@pytest.mark.parametrize("path", CHANGED)
def test_an_option_that_the_way_to_decode_makes_no_use_of_is_refused(path):
    name, options = path.partition(".")[0], alone(path, CHANGED[path])
    if name in ONLY_NAR_LEN:
        with pytest.raises(ValidationError, match=f"decoding=ar makes no use of {name};"):
            SamplingOptions(**options | {"decoding": "ar"})
    elif path in OF_AN_AR_ALONE:
        with pytest.raises(ValidationError, match=f"decoding=nar-len makes no use of {name};"):
            SamplingOptions(**options | {"decoding": "nar-len"})
    else:
        assert SamplingOptions(**options | {"decoding": "ar"}) != SamplingOptions(**options | {"decoding": "nar-len"})


def test_a_wrong_combination_is_a_sentence_on_the_command_line():
    with pytest.raises(ConfigurationError) as refused:
        parse_options("speak", "text", "--sampling.min-temperature", "2")
    assert str(refused.value) == "--sampling: min_temperature is above temperature; make it smaller."


OF_A_CHECKPOINT = SamplingOptions(temperature=0.8, min_duration_ratio=0.5, guidance=2, mirostat={"tau": 3.0})


def test_what_is_left_open_is_as_the_checkpoint_says():
    assert SamplingOptions().over(OF_A_CHECKPOINT) == OF_A_CHECKPOINT
    assert SamplingOptions(guidance=1, seed=4).over(OF_A_CHECKPOINT) == OF_A_CHECKPOINT.model_copy(
        update={"guidance": 1, "seed": 4}
    )
    assert SamplingOptions(top_k=3).over(SamplingOptions()) == SamplingOptions(top_k=3)
    stored = SamplingOptions(**OF_A_CHECKPOINT.model_dump(mode="json"))
    assert SamplingOptions(seed=1).over(stored) == OF_A_CHECKPOINT.model_copy(update={"seed": 1})


def test_what_the_checkpoint_says_of_another_way_of_decoding_or_drawing_is_left_out():
    masked = SamplingOptions(decoding="nar-len").over(OF_A_CHECKPOINT)
    assert masked == SamplingOptions(decoding="nar-len", temperature=0.8, guidance=2)
    beams = SamplingOptions(beam={"width": 2}).over(OF_A_CHECKPOINT)
    assert beams == SamplingOptions(beam={"width": 2}, temperature=0.8, min_duration_ratio=0.5, guidance=2)
    assert SamplingOptions(top_p=0.5).over(masked).decoding == "nar-len"


def test_an_option_that_contradicts_the_checkpoint_is_a_sentence():
    with pytest.raises(ConfigurationError, match="Beside the sampling of the checkpoint, min_temperature is above"):
        SamplingOptions(min_temperature=0.9).over(OF_A_CHECKPOINT)
