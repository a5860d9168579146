"""From a pydantic model to flags and back: the one road by which every command gets its options.

Flags are the dotted names of the fields (`--corpus.kind`, `--stages.transcribe.model`), with their descriptions and
defaults. `--config FILE.yaml` gives the same fields as a file; flags win over it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from warehouse.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], command: str, arguments: Sequence[str]) -> M:
    """The options of `command` as an instance of `model`.

    Raises ConfigurationError, one sentence per wrong option; `--help` prints the flags and ends the process.
    """
    flags, from_file = _split_config(list(arguments))
    settings: Any = type(model.__name__, (_Flags, model), {"__doc__": model.__doc__, "__module__": model.__module__})
    settings.model_config["cli_prog_name"] = f"valle {command}"
    try:
        given = CliApp.run(settings, cli_args=flags) if not from_file else _merged(settings, flags, from_file)
        content = given.model_dump(include=set(model.model_fields), round_trip=True, exclude_unset=True)
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(problem) for problem in error.errors())) from error
    except SettingsError as error:  # a list or mapping that is no JSON
        raise ConfigurationError(_unreadable_flag(error)) from error


class _Flags(BaseSettings):
    model_config = SettingsConfigDict(
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        nested_model_default_partial_update=True,
        env_prefix="VALLE_OPTION_UNUSED_",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def _merged(settings: Any, flags: list[str], from_file: dict[str, Any]) -> Any:
    """Flags over file: the file's fields become flags in front of the given ones."""
    return CliApp.run(settings, cli_args=[*_as_flags(from_file), *flags])


def _as_flags(content: dict[str, Any], prefix: str = "") -> list[str]:
    flags: list[str] = []
    for name, value in content.items():
        path = f"{prefix}{str(name).replace('_', '-')}"
        if isinstance(value, dict):
            flags += _as_flags(value, f"{path}.")
        elif isinstance(value, bool):
            flags.append(f"--{path}" if value else f"--no-{path}")
        elif value is not None:
            flags.append(f"--{path}={json.dumps(value) if isinstance(value, list) else value}")
    return flags


def _split_config(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    flags, content = [], {}
    while arguments:
        argument = arguments.pop(0)
        if argument == "--config" or argument.startswith("--config="):
            name = argument.partition("=")[2] or (arguments.pop(0) if arguments else "")
            content = _read_yaml(Path(name))
        else:
            flags.append(argument)
    return flags, content


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"Cannot read the options in {path}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} holds no options; it should be a YAML mapping of field names.")
    return content


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]).replace("_", "-")
    what = str(problem["msg"]).removeprefix("Value error, ")  # pydantic's, before what a validator of ours says
    return f"--{where}: {what}" if where else what


def _unreadable_flag(error: SettingsError) -> str:
    field = str(error).split('"')[1] if '"' in str(error) else ""
    return f"--{field.replace('_', '-')}: a value cannot be read ({error.__cause__}); lists are written 1,2,3."


def say(text: str) -> None:
    """Print a line for the user."""
    print(text, file=sys.stdout, flush=True)  # noqa: T201
