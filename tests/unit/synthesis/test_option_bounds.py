"""Numbers that no option takes: infinity, NaN and values without bound are refused in a sentence, never a traceback."""

import math
from typing import Annotated, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from tests.golden.toy_model import toy_model
from tests.unit.cli.parsing import parse_options
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.seeds import candidate_seed, seeded_generator, sentence_seed
from valle.synthesis.options import BestOfOptions, LongFormOptions, SamplingOptions
from warehouse.errors import ConfigurationError

REFUSED = (math.inf, -math.inf, math.nan, 1e30, -1e30, -1000.5)


def numbers_of(model: type[BaseModel], prefix: str = ""):
    """The dotted name of every number of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from numbers_of(field.annotation, f"{prefix}{name}.")
        elif numeric_types(field.annotation) & {int, float}:
            yield f"{prefix}{name}"


def numeric_types(annotation) -> set:
    if get_origin(annotation) is Annotated:
        return numeric_types(get_args(annotation)[0])
    inside = set().union(*(numeric_types(argument) for argument in get_args(annotation)))
    return inside | ({annotation} if isinstance(annotation, type) else set())


NUMBERS = [
    (group, path)
    for group, model in (("sampling", SamplingOptions), ("long_form", LongFormOptions), ("best_of", BestOfOptions))
    for path in numbers_of(model)
]


def test_every_number_of_the_models_is_tried():
    assert len(NUMBERS) == 44
    assert ("sampling", "suppressed_codes") in NUMBERS
    assert ("sampling", "beam.width") in NUMBERS


@pytest.mark.parametrize("value", REFUSED)
@pytest.mark.parametrize(("group", "path"), NUMBERS)
def test_a_number_out_of_bounds_is_one_sentence_on_the_command_line(group, path, value):
    flag = f"--{group}.{path}".replace("_", "-")
    with pytest.raises(ConfigurationError) as refused:
        parse_options("speak", "text", f"{flag}={value}")
    assert str(refused.value).startswith(flag.partition(".")[0])
    assert "\n" not in str(refused.value)


def bound(path: str, side: str):
    """The lowest or highest value of an option that is accepted."""
    names = path.split(".")
    field = SamplingOptions.model_fields[names[0]]
    if len(names) > 1:
        field = field.annotation.model_fields[names[1]]
    for constraint in field.metadata:
        if side == "highest" and getattr(constraint, "le", None) is not None:
            return constraint.le
        if side == "highest" and getattr(constraint, "lt", None) is not None:
            return constraint.lt - 1
        if side == "lowest" and getattr(constraint, "ge", None) is not None:
            return constraint.ge
        if side == "lowest" and getattr(constraint, "gt", None) is not None:
            return 1e-300
    return None


EXPENSIVE = ("seconds", "max_seconds", "masked.steps", "beam.width", "suppressed_codes", "min_temperature")
NAR_LEN_ONLY = ("duration_scale", "masked.prefix_seconds", "masked.steps", "seconds")


@pytest.mark.parametrize("side", ["lowest", "highest"])
@pytest.mark.parametrize("path", [path for group, path in NUMBERS if group == "sampling" and path not in EXPENSIVE])
def test_every_option_decodes_at_its_bounds(path, side):
    value = bound(path, side)
    assert value is not None
    group, _, name = path.partition(".")
    options = {"max_seconds": 0.2, group: {name: value} if name else value}
    if name == "candidates" or "entropy" in name:
        options["adaptive"]["enabled"] = True
    if path in ("dry.base", "dry.allowed_length"):
        options["dry"]["multiplier"] = 100
    if path in NAR_LEN_ONLY:
        options["decoding"] = "nar-len"
    condition = Condition(np.arange(1, 7), 1, None, np.ones((4, 3), np.int16))
    [decoded] = decode(toy_model(), [condition], [SamplingOptions(**options)])
    assert len(decoded.codes) == 4
    assert decoded.codes.shape[1] <= 16


@pytest.mark.parametrize("seed", [2**63 - 1, 2**63, 2**64 - 1])
def test_large_seeds_draw_and_derive_other_seeds(seed):
    condition = Condition(np.arange(1, 7), 1, None, np.zeros((4, 0), np.int16))
    options = SamplingOptions(seed=seed, max_seconds=0.2, nar_temperature=1.0)
    again, first = decode(toy_model(), [condition] * 2, [options] * 2)
    assert np.array_equal(again.codes, first.codes)
    assert len({seed, sentence_seed(seed, 1), candidate_seed(seed, 1)}) == 3
    assert seeded_generator(seed + 1).initial_seed() == (seed + 1) % 2**64


def test_a_seed_beyond_64_bits_is_refused():
    with pytest.raises(ValidationError, match="less than"):
        SamplingOptions(seed=2**64)
