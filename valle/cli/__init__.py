"""The command line: `valle COMMAND [options]`.

The one place that may import `flows`, and only once a command that runs a flow was asked for, so that `valle --help`
and `valle sql` never wait for Prefect. Every error of ours is printed as one sentence; `--debug` shows where it came
from.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from valle.process import keep_freed_memory
from warehouse.errors import PipelineError

COMMANDS = {
    "demo": "the whole road on the demo corpus, from raw audio to scores",
    "doctor": "what is installed, what is missing, and the command that fixes it",
    "up": "the Prefect server, its workers and all deployments, on this machine",
    "down": "end what `up` started",
    "plan": "what `prepare` would do, without doing it",
    "prepare": "a corpus all the way from raw audio to codes",
    "ingest": "read what is new in a corpus",
    "segment": "find the speech in recordings",
    "transcribe": "write down what is said in segments",
    "phonemize": "turn transcripts into phonemes",
    "quality": "score how good segments sound",
    "speakers": "embed the voice of segments",
    "quantize": "turn segments into codes",
    "retry": "forget dropped rows, so that the next run tries them again",
    "select": "make a training set by SQL",
    "train": "train a model on a training set",
    "train-codec": "train the embedded codec on audio",
    "codec": "`codec report` measures what codecs do to speech",
    "speak": "say a text in the voice of a prompt",
    "export": "a checkpoint to give away: weights in half precision",
    "adapt-codec": "adapt a trained model to the codes of another codec",
    "evaluate": "measure WER and SIM-O of a model, a folder or a command; `aggregate` scores a table",
    "sql": "ask the catalogue",
    "stats": "tables and plots of everything in the catalogue",
    "catalogue": "rebuild the DuckDB file",
    "fsck": "check every promise of the lake",
    "compact": "merge small parts of the lake",
    "vacuum": "remove files that nothing names",
}
_MODULES = {
    "doctor": "doctor",
    "up": "server",
    "down": "server",
    "plan": "plan",
    "speak": "speak",
    "export": "export",
    "adapt-codec": "adapt_codec",
    "evaluate": "evaluate",
    "codec": "codec",
    "sql": "warehouse",
    "stats": "warehouse",
    "catalogue": "warehouse",
    "fsck": "warehouse",
    "compact": "warehouse",
    "vacuum": "warehouse",
    "retry": "warehouse",
}
"""The module of each command; all others run a flow."""


def usage() -> str:
    """What `valle --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {help_text}" for name, help_text in COMMANDS.items()]
    head = "usage: valle COMMAND [options]    (`valle COMMAND --help` lists them)"
    flags = "       --quiet, --verbose or --debug with every command"
    return "\n".join([head, flags, "", *lines])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 one of our errors, 2 a wrong command line."""
    keep_freed_memory()  # before any thread exists: those that do keep the allocator they have
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = _without_verbosity(given)
    if not given or given[0] in ("-h", "--help", "help"):
        _print(usage())
        return 0
    command, *rest = given
    if command not in COMMANDS:
        _print(f"valle: there is no command {command!r}; `valle --help` lists them.", sys.stderr)
        return 2
    run: Callable[[str, Sequence[str]], int] = import_module(f"valle.cli.{_MODULES.get(command, 'flow')}").run
    try:
        return run(command, rest)
    except PipelineError as error:
        if debug:
            raise
        _print(f"valle: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _print("valle: stopped; committed work is kept.", sys.stderr)
        return 130
    except BrokenPipeError:
        # `valle sql ... | head` has read enough. What Python writes at its own end must find somebody who takes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _without_verbosity(arguments: Sequence[str]) -> list[str]:
    """Remove the global flags `--quiet`, `--verbose` and `--debug`; the last one becomes `VALLE_VERBOSITY`."""
    flags = {"--quiet": "quiet", "--verbose": "verbose", "--debug": "debug"}
    given = [flags[argument] for argument in arguments if argument in flags]
    if given:
        os.environ["VALLE_VERBOSITY"] = given[-1]
    return [argument for argument in arguments if argument not in flags]


def _print(text: str, stream: object = None) -> None:
    print(text, file=stream or sys.stdout)  # type: ignore[arg-type]
