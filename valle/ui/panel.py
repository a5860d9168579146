"""Components of a page from the fields of a pydantic model, and the model from their values."""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import gradio as gr
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

ModelT = TypeVar("ModelT", bound=BaseModel)
# Integers beyond are rounded by browsers.
_LARGEST_EXACT = 2**53


def simple_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields that one component can show: numbers, switches and choices."""
    return {name: field for name, field in model.model_fields.items() if _kind(field) is not None}


def build_panel(model: type[BaseModel], defaults: BaseModel) -> list[Any]:
    """Return a component for each of `simple_fields`, in their order, with the values of `defaults`."""
    return [_component(name, field, getattr(defaults, name)) for name, field in simple_fields(model).items()]


def read_panel(model: type[ModelT], values: Sequence[Any]) -> ModelT:
    """Build a model from the values of its panel; what equals the default is left open.

    Raises gr.Error, which the page shows, for values that contradict each other.
    """
    fields = simple_fields(model)
    content = {
        name: int(value) if _kind(field) is int and value is not None else value
        for (name, field), value in zip(fields.items(), values, strict=True)
    }
    try:
        return model(**content)
    except ValidationError as error:
        raise gr.Error("; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())) from error


def _kind(field: FieldInfo) -> Any:
    if get_origin(field.annotation) is Literal:
        return Literal
    return field.annotation if field.annotation in (bool, int, float) else None


def _component(name: str, field: FieldInfo, value: Any) -> Any:
    label, info = name.replace("_", " "), field.description
    if _kind(field) is Literal:
        return gr.Dropdown(list(get_args(field.annotation)), value=value, label=label, info=info)
    if _kind(field) is bool:
        return gr.Checkbox(value=value, label=label, info=info)
    precision = 0 if _kind(field) is int else None
    low, high = _bound(field, (Ge, Gt)), _bound(field, (Le, Lt))
    return gr.Number(value=value, label=label, info=info, minimum=low, maximum=high, precision=precision)


def _bound(field: FieldInfo, kinds: tuple[type, ...]) -> float | None:
    """Return the bound of a field; None where there is none, and where a page could not send it exactly."""
    found = [item for item in field.metadata if isinstance(item, kinds)]
    values = [getattr(item, name) for item in found for name in ("ge", "gt", "le", "lt") if hasattr(item, name)]
    return next((value for value in values if abs(value) <= _LARGEST_EXACT), None)
