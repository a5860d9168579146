"""Patches of cyclopts 5.4.0, the library of the command line (https://github.com/BrianPugh/cyclopts)."""

from collections.abc import Callable
from typing import Any

import cyclopts.argument._collection
import cyclopts.field_info
from cyclopts import Parameter
from cyclopts.field_info import FieldInfo


def read_pydantic_fields() -> None:
    """Let cyclopts read descriptions and defaults of options from pydantic fields.

    Descriptions (`extract_docstring_help` in cyclopts/argument/utils.py): cyclopts finds attribute docstrings with
    inspect.getsource and ast, several times per command for each class and its bases, pydantic's own among them: a
    second of processor time in `valle speak --help`. Pydantic has already stored them.

    Defaults (`_dataclass_field_infos` in cyclopts/field_info.py): of a pydantic dataclass cyclopts takes the
    `Field(default=64, gt=0)` itself for the default, and refuses it because it is no number.
    """
    vars(cyclopts.argument._collection)["extract_docstring_help"] = _field_descriptions
    module = vars(cyclopts.field_info)
    original = module["_dataclass_field_infos"]
    if original.__module__ == cyclopts.field_info.__name__:
        module["_dataclass_field_infos"] = _with_pydantic_defaults(original)


def _field_descriptions(hint: Any) -> dict[tuple[str, ...], Parameter]:
    fields = getattr(hint, "__pydantic_fields__", {})
    return {(name,): Parameter(help=field.description) for name, field in fields.items() if field.description}


def _with_pydantic_defaults(original: Callable[[Any], dict[str, FieldInfo]]) -> Callable[[Any], dict[str, FieldInfo]]:
    def dataclass_field_infos(hint: Any) -> dict[str, FieldInfo]:
        infos = original(hint)
        for name, field in getattr(hint, "__pydantic_fields__", {}).items():
            if name in infos and not field.is_required() and field.default_factory is None:
                infos[name].default = field.default
        return infos

    return dataclass_field_infos
