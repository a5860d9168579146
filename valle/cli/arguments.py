"""From command-line tokens and YAML files to option models, and from their errors to sentences.

Flags are the dotted names of the fields of a model (`--corpus.kind`, `--stages.transcribe.model`), with their
descriptions and defaults. `--config FILE.yaml` gives the same fields as a file; flags override it.
"""

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import BoundArguments
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from cyclopts import (
    App,
    Argument,
    ArgumentCollection,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownCommandError,
    UnusedCliTokensError,
)
from cyclopts.argument import update_argument_collection
from pydantic import BaseModel, ValidationError

from warehouse.errors import ConfigurationError

FIELDS = Parameter(name="*")
"""Annotation of a parameter whose fields are the options of the command."""


class CommandLineError(ConfigurationError):
    """A command or option that does not exist, or a command without a value that it needs."""


class OptionsFile:
    """The option values of a YAML file, as a source of cyclopts that command-line flags override."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add the values of the file to the arguments without a value. Raises ConfigurationError for a bad file."""
        try:
            content = yaml.safe_load(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ConfigurationError(f"Cannot read the options in {self._path}: {reason}") from error
        if not isinstance(content, dict):
            raise ConfigurationError(f"{self._path} holds no options; it should be a YAML mapping of field names.")
        # null means that an option is left at its default, as in a form.
        update_argument_collection(
            _without_nulls(content), str(self._path), arguments, root_keys=(), allow_unknown=False
        )


def _without_nulls(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(name): _without_nulls(value) if isinstance(value, Mapping) else value
        for name, value in content.items()
        if value is not None
    }


def split_lists(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Split the values of list options at commas: `--scorers dnsmos,distillmos`; `[]` is the empty list."""
    for argument in arguments:
        # `tuple[float, ...] | None` is a list, too.
        if any(get_origin(hint) in (tuple, list) for hint in (argument.hint, *get_args(argument.hint))):
            argument.tokens = [piece for token in argument.tokens for piece in _split(token)]


def _split(token: Token) -> Iterator[Token]:
    # A positional value is one path, which may have a comma in its name.
    if not token.keyword or not isinstance(token.value, str):
        return iter([token])
    values = [value.strip().strip("\"'") for value in token.value.strip().strip("[]").split(",")]
    if values == [""] and not token.value.strip():
        return iter([token])  # the value of a flag such as `--empty-scorers`
    if values == [""]:
        return iter([token.evolve(value="", implicit_value=())])
    return (token.evolve(value=value, index=index) for index, value in enumerate(values))


def read_numbered_choices(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Turn the words of a choice between numbers, `Literal[24_000, 44_100]`, into those numbers.

    Pydantic compares a choice by equality, and a word of the command line equals no number.
    """
    for argument in arguments:
        hints = (argument.hint, *get_args(argument.hint))
        choices = {str(choice): choice for hint in hints if get_origin(hint) is Literal for choice in get_args(hint)}
        numbers = {word: choice for word, choice in choices.items() if isinstance(choice, int)}
        argument.tokens = [
            token.evolve(value="", implicit_value=numbers[token.value]) if token.value in numbers else token
            for token in argument.tokens
        ]


def keep_given_defaults(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Complete a partly given group by its default: `workers: Workers = Workers(width=2)` keeps the width.

    Pydantic replaces the whole default of a field as soon as one value of it is given.
    """
    for group in arguments:
        default = group.field_info.default
        if not isinstance(default, BaseModel) or not default.model_fields_set:
            continue
        inside = [argument for argument in arguments if argument.keys[: len(group.keys)] == group.keys]
        # A group without a value gets its default from pydantic.
        if any(argument.tokens for argument in inside):
            content = {group.name.removeprefix("--"): default.model_dump(mode="json", exclude_unset=True)}
            update_argument_collection(content, "default", arguments, root_keys=(), allow_unknown=True)


def read_options_from(app: App, config: Path | None) -> None:
    """Set where the commands of `app` get options from: the command line, then a YAML file, then their defaults."""
    files = [] if config is None else [OptionsFile(config)]
    app.config = (*files, split_lists, keep_given_defaults, read_numbered_choices)


def parse(app: App, tokens: Sequence[str]) -> tuple[Callable[..., Any], BoundArguments]:
    """Return the function of a command line with its arguments.

    Raises CommandLineError for an unknown command or option, and ConfigurationError for values that are refused.
    """
    try:
        command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        if isinstance(error, MissingArgumentError) and error.argument is not None:
            raise CommandLineError(_missing(error.argument)) from error
        if isinstance(error.__cause__, ValidationError):  # cyclopts lets pydantic convert values
            raise ConfigurationError(refused(error.__cause__)) from error
        raise CommandLineError(_sentence(error)) from error
    except ValidationError as error:
        raise ConfigurationError(refused(error)) from error
    return command, bound


def run_command(app: App, tokens: Sequence[str]) -> int:
    """Parse a command line, run its command and return the exit code. Errors as `parse` and the command."""
    command, bound = parse(app, tokens)
    try:
        return int(command(*bound.args, **bound.kwargs) or 0)
    except ValidationError as error:  # options that a command completed
        raise ConfigurationError(refused(error)) from error


def _sentence(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError | UnusedCliTokensError):
        return _unknown_command(error)
    return " ".join(str(error).split())


def refused(error: ValidationError) -> str:
    """Return what is wrong with each refused value."""
    return "; ".join(_problem(problem) for problem in error.errors())


def _unknown_command(error: UnknownCommandError | UnusedCliTokensError) -> str:
    """Name the command that is most similar, or the value that is too many.

    Cyclopts would import the modules of all commands for its list.
    """
    [name, *_] = error.unused_tokens or [""]
    known = [command for command in error.app or () if not command.startswith("-")]
    # `error` itself would import the modules of all commands, torch and Prefect among them, to list them.
    similar = difflib.get_close_matches(name, known, n=1)
    group = " ".join(error.command_chain or ())
    given = f"{group} {name}".strip()
    if not known:  # a command without commands below it, and so a value too many
        return f"`valle {group}` takes no {name!r} there; write the values of a list with commas, such as 1,2,3."
    if similar:
        return f"There is no command {given!r}; did you mean {f'{group} {similar[0]}'.strip()!r}?"
    return f"There is no command {given!r}; there are {', '.join(known)}."


def _missing(argument: Argument) -> str:
    parts = get_args(argument.hint) if get_origin(argument.hint) is tuple else ()
    if len(parts) > 1 and Ellipsis not in parts:
        return f"{argument.name} must have {len(parts)} values with spaces between them."
    required = [child.name for child in argument.children if child.required]
    return f"{' and '.join(required or [argument.name])} must have a value."


def _problem(problem: Any) -> str:
    name = ".".join(str(key) for key in problem["loc"]).replace("_", "-")
    message = str(problem["msg"]).removeprefix("Value error, ")  # pydantic's, before the message of our validators
    return f"--{name}: {message}" if name else message


def say(text: str) -> None:
    """Print a line for the user."""
    print(text, file=sys.stdout, flush=True)  # noqa: T201
