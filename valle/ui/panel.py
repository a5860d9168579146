"""Components of a page from the fields of a pydantic model, and the model from their values."""

import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import gradio as gr
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

ModelT = TypeVar("ModelT", bound=BaseModel)
# Integers beyond are rounded by browsers.
_LARGEST_EXACT = 2**53


def panel_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields that one component can show: numbers, switches, choices and texts.

    A field of a group has the name `group.field`.
    """
    return dict(_leaves(model, ""))


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, f"{prefix}{name}.")
        elif _kind(field) is not None:
            yield f"{prefix}{name}", field


def build_panel(model: type[BaseModel], defaults: BaseModel) -> list[Any]:
    """Return a component for each of `panel_fields`, in their order, with the values of `defaults`."""
    return [_component(name, field, _value(defaults, name)) for name, field in panel_fields(model).items()]


def panel_values(model: type[BaseModel], defaults: BaseModel, changes: Mapping[str, Any]) -> list[Any]:
    """Return the value of each component for `defaults` with some `changes` by name."""
    return [changes.get(name, _value(defaults, name)) for name in panel_fields(model)]


def read_panel(model: type[ModelT], values: Sequence[Any], given: Mapping[str, Any] | None = None) -> ModelT:
    """Build a model from the values of its panel, and from `given` fields that the panel does not have.

    Raises gr.Error, which the page shows, for values that contradict each other.
    """
    content: dict[str, Any] = dict(given or {})
    for (name, field), value in zip(panel_fields(model).items(), values, strict=True):
        *groups, last = name.split(".")
        place = content
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = _read(field, value)
    try:
        return model(**content)
    except ValidationError as error:
        raise gr.Error("; ".join(_sentence(problem) for problem in error.errors())) from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(key) for key in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _read(field: FieldInfo, value: Any) -> Any:
    kind = _kind(field)
    if _is_optional_number(field):
        return _read_optional_number(kind, value)
    # A browser has one kind of number, and pydantic refuses 5.0 where it wants an integer of a strict model.
    if kind is int and value is not None:
        return int(value)
    return None if kind in (str, Path) and not value and _is_optional(field) else value


def _read_optional_number(kind: type, value: Any) -> Any:
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        return text  # pydantic names the field


def _value(model: BaseModel, name: str) -> Any:
    value: Any = model
    for part in name.split("."):
        value = getattr(value, part)
    # A component shows text; `read_panel` makes a path of it again.
    return str(value) if isinstance(value, Path) else value


def _is_optional(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _is_optional_number(field: FieldInfo) -> bool:
    return _kind(field) in (int, float) and _is_optional(field)


def _kind(field: FieldInfo) -> Any:
    """Return the type of one value of a field, Literal for a choice; None for lists and the like."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        annotation = inner[0] if len(inner) == 1 else None
    if get_origin(annotation) is Literal:
        return Literal
    return annotation if annotation in (bool, int, float, str, Path) else None


def _choices(field: FieldInfo) -> list[Any]:
    """Return the values of a choice; an optional one has its Literal inside a union."""
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    (literal,) = (part for part in get_args(field.annotation) if get_origin(part) is Literal)
    return [("none", None), *get_args(literal)]


def _component(name: str, field: FieldInfo, value: Any) -> Any:
    label, info, kind = name.replace("_", " ").replace(".", ": "), field.description, _kind(field)
    if kind is Literal:
        return gr.Dropdown(_choices(field), value=value, label=label, info=info)
    if kind is bool:
        return gr.Checkbox(value=value, label=label, info=info)
    if _is_optional_number(field):
        # A field of numbers that is empty becomes its minimum in the browser, so that nothing could be left open.
        return gr.Textbox(value="" if value is None else str(value), label=label, info=info, placeholder="not set")
    if kind in (str, Path):
        return gr.Textbox(value=value, label=label, info=info)
    precision = 0 if kind is int else None
    low, high = _bound(field, (Ge, Gt)), _bound(field, (Le, Lt))
    return gr.Number(value=value, label=label, info=info, minimum=low, maximum=high, precision=precision)


def _bound(field: FieldInfo, kinds: tuple[type, ...]) -> float | None:
    """Return the bound of a field; None where there is none, and where a page could not send it exactly."""
    found = [item for item in field.metadata if isinstance(item, kinds)]
    values = [getattr(item, name) for item in found for name in ("ge", "gt", "le", "lt") if hasattr(item, name)]
    return next((value for value in values if abs(value) <= _LARGEST_EXACT), None)
