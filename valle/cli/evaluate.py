"""`valle evaluate`: the flow that measures a system, and commands about scores that need no flow."""

from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "aggregate": "valle.cli.evaluate_aggregate",
    "compare": "valle.cli.compare",
    "doctor": "valle.cli.evaluate_doctor",
}
"""The module of each subcommand; its `run` gets the command's name and the arguments after it."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the subcommand that the first argument names; without one, the flow, if there is something to do."""
    if arguments and arguments[0] in _COMMANDS:
        name, *rest = arguments
        return int(import_module(_COMMANDS[name]).run(f"{command} {name}", rest))
    if _show_finished(command, arguments):
        return 0
    return int(import_module("valle.cli.flow").run(command, arguments))


def _show_finished(command: str, arguments: Sequence[str]) -> bool:
    """Name the report of an evaluation whose scores are stored, without waiting for Prefect."""
    from flows.parameters import EvaluateParameters
    from valle.backends.registry import Backends
    from valle.cli.arguments import parse, say
    from valle.evaluation.resolve import find_finished_report

    parameters = parse(EvaluateParameters, command, arguments)
    backends = Backends(parameters.workers.device, parameters.workers.threads)
    report = find_finished_report(parameters, parameters.data_root, backends)
    if report is not None:
        say(f"Nothing to do, the scores are in the lake. Report: {report.markdown_path}")
    return report is not None
