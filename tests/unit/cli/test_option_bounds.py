"""Every number among the options of flows, stages, training and corpora has bounds: no infinity, no NaN, no excess."""

import importlib
import math
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import flows.codec_parameters
import flows.parameters
import valle.cli
from flows.parameters import Parameters
from flows.server.options import DownOptions, UpOptions
from tests.unit.cli.parsing import parse_options
from valle.serving.options import LiveSpeechRequest, ServeOptions
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError

REFUSED = (math.inf, -math.inf, math.nan, 1e30, -1e30, -1000.5)
FLOWS = [
    found
    for found in {**vars(flows.parameters), **vars(flows.codec_parameters)}.values()
    if isinstance(found, type) and issubclass(found, Parameters) and found is not Parameters
]
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(valle.cli.__path__, "valle.cli.")
    if not found.name.endswith("_patches")
]
COMMANDS = [
    found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and hasattr(found, "__pydantic_fields__") and found is not BaseModel
]
ROOTS = (*FLOWS, UpOptions, DownOptions, TrainOptions, ServeOptions, LiveSpeechRequest, *COMMANDS)


def is_options(annotation: object) -> bool:
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__") and annotation is not BaseModel


def types_in(annotation: Any) -> Iterator[Any]:
    """The classes inside an annotation: of unions, tuples and annotated types."""
    if get_origin(annotation) is None:
        yield annotation
    for argument in get_args(annotation):
        yield from types_in(argument)


def numbers_below(owner: type, seen: set[type]) -> Iterator[tuple[type, str, bool]]:
    """Class, field and whether it is a tuple, of every number of `owner` and of the options inside it."""
    if owner in seen:
        return
    seen.add(owner)
    hints = get_type_hints(owner, include_extras=True)
    for name in owner.__pydantic_fields__:
        inside = set(types_in(hints[name]))
        for annotation in inside:
            if is_options(annotation):
                yield from numbers_below(annotation, seen)
        if inside & {int, float}:
            yield owner, name, "tuple" in str(hints[name])


SEEN: set[type] = set()
NUMBERS = [number for root in ROOTS for number in numbers_below(root, SEEN)]


def test_the_options_of_every_part_are_walked():
    names = {f"{owner.__name__}.{name}" for owner, name, _ in NUMBERS}
    assert names >= {"Quantize.batch_seconds", "Segment.margin", "TrainSettings.betas", "CorpusOptions.shard_megabytes"}
    assert names >= {"SamplingOptions.seed", "SplitPolicy.seed", "Workers.width", "UpOptions.cpu"}
    assert names >= {"SpeakOptions.prompt_shares", "ServeLimits.speech_seconds", "VacuumOptions.grace_hours"}
    assert len(names) > 250


@pytest.mark.parametrize(
    ("owner", "name", "is_tuple"), NUMBERS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_number_without_bounds_is_refused(owner, name, is_tuple):
    validate = TypeAdapter(owner).validate_python
    for value in REFUSED:
        with pytest.raises(ValidationError) as refused:
            validate({name: (value, value) if is_tuple else value})
        assert any(error["loc"][0] == name for error in refused.value.errors()), f"{name}={value} is taken"


@pytest.mark.parametrize("value", ["-1", "0", "inf", "nan", "1e30"])
def test_an_option_of_a_stage_out_of_bounds_is_one_sentence_on_the_command_line(value):
    corpus = ("--corpus.kind", "folder", "--corpus.root", ".", "--corpus.name", "clips")
    with pytest.raises(ConfigurationError) as refused:
        parse_options("prepare", *corpus, f"--stages.quantize.batch-seconds={value}")
    assert str(refused.value).startswith("--stages.quantize.batch-seconds")
    assert "\n" not in str(refused.value)
