"""The command line: `valle COMMAND [options]`.

The one package that may import `flows`, and only inside the functions that run a flow, so that `valle --help` and
`valle sql` never wait for Prefect. A `PipelineError` is printed as its sentence; `--debug` adds the traceback.
"""

import os
import sys
from collections.abc import Sequence

from valle.cli.app import build_app
from valle.cli.arguments import CommandLineError, run_command
from valle.process import keep_freed_memory
from warehouse.errors import PipelineError

# The exit code of a shell for SIGPIPE.
_READER_IS_GONE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 one of our errors, 2 an unknown command or option."""
    keep_freed_memory()  # before any thread exists: a thread keeps the allocator that it started with
    # Paths may hold bytes that are not UTF-8; printing one must not fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    tokens = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return run_command(build_app().meta, tokens)
    except CommandLineError as error:
        return _end(f"{error} `--help` lists commands and options.", tokens, code=2)
    except PipelineError as error:
        return _end(str(error), tokens, code=1)
    except KeyboardInterrupt:
        return _end("stopped; finished work is kept.", [], code=130)
    except BrokenPipeError:
        # The reader of `valle sql ... | head` has closed the pipe; Python flushes standard output once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_IS_GONE


def _end(sentence: str, tokens: Sequence[str], *, code: int) -> int:
    """Print the sentence of the current error; with `--debug` raise it."""
    if "--debug" in tokens:
        raise
    sys.stderr.write(f"valle: {sentence}\n")
    return code
