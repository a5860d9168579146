"""`python -m valle.training RUN.json`: train with the options of a file; `-` reads them from standard input.

On many devices: `python -m flows.machine.ranks COUNT valle.training RUN.json`; on many nodes `flows.machine.nodes`,
`torchrun` or `deepspeed --module valle.training RUN.json`; all with the engine `deepspeed`.

Prints one line per line of metrics, and one at the end. Commands (`save`, `eval`, `export`, `lr NUMBER`, `quit`) are
typed while it runs, or written to the file `commands` in the directory of the run.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from valle.training.commands import FileCommands, JoinedCommands, TypedCommands
from valle.training.engines.deepspeed_config import deepspeed_config
from valle.training.options import TrainOptions
from warehouse.errors import PipelineError


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _show(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"


def format_line(line: Mapping[str, Any]) -> str:
    """Format a line of metrics for the terminal."""
    if "dev_loss" in line:
        return (
            f"step {line['step']}  dev loss {_show(line['dev_loss'])} (ar {_show(line['dev_loss_ar'])}, "
            f"nar {_show(line['dev_loss_nar'])})  top-10 {_show(line['dev_top10_ar'])} {_show(line['dev_top10_nar'])}"
        )
    return (
        f"step {line['step']}/{line['max_steps']}  loss {_show(line['loss'])} (ar {_show(line['loss_ar'])}, "
        f"nar {_show(line['loss_nar'])})  top-10 {_show(line['top10_ar'])} {_show(line['top10_nar'])}  "
        f"{line['tokens_per_second']:.0f} tokens/s  padding {line['padding']:.1%}  ETA {_clock(line['eta'])}"
    )


def _print_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _log_to_output() -> None:
    """Print the log of the trainer; of the ranks behind the first its warnings."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("valle.training")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    arguments = [
        argument for argument in arguments if not argument.startswith("--local_rank")
    ]  # added by DeepSpeed's launcher
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m valle.training RUN.json\n")
        return 2
    from_stdin = arguments[0] == "-"
    try:
        text = sys.stdin.read() if from_stdin else Path(arguments[0]).read_text(encoding="utf-8")
        options = TrainOptions.model_validate_json(text)
        file = FileCommands(options.run_dir / "commands")
        commands = file if from_stdin else JoinedCommands(file, TypedCommands())
        # Options are checked before torch and the network load, which takes seconds.
        deepspeed_config(options)
        from valle.training.loop import train

        _log_to_output()
        result = train(options, lambda line: _print_line(format_line(line)), commands=commands)
    except (OSError, ValidationError, PipelineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _print_line(f"{result.reason} at step {result.step} after {_clock(result.seconds)}: {result.checkpoint}")
    return 0


def exit_process(code: int) -> NoReturn:
    """End this process with an exit code, and without Python's finalization where it is a rank of a process group.

    DeepSpeed keeps the process group alive, and so the threads of gloo, after `destroy_process_group` too. Such a
    thread may still release the tensor of the last exchange, for which it needs the interpreter; one that finds it
    finalized aborts the process, whose work is done.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_initialized():
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_process(main(sys.argv[1:]))
