"""`python -m flows.machine.nodes NODES MODULE ARGUMENTS`: run a module as ranks of several machines.

NODES is JSON: the hosts with their ranks, and `ssh` or `srun`. On each host one agent (`flows.machine.node_agent`)
starts the ranks; the agent of this machine needs neither program. All hosts have the checkout, the environment and the
data root at the same paths. Rank 0 opens a port on the first host, where the others find it.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from flows.machine.children import Child, run_children
from flows.machine.ranks import Place
from valle.training.engines.nodes import Node, Nodes
from warehouse.errors import ConfigurationError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORT = 29500
# Settings of the ranks. What names devices or folders of this machine stays here.
_FORWARDED = ("AWS_", "DS_", "FI_", "GLOO_", "HF_", "MKL_", "NCCL_", "OMP_", "PYTHON", "TOKENIZERS_", "TORCH_", "UCX_",
              "VALLE_")  # fmt: skip
# The shell leaves the signals of a cancellation ignored in the program that it becomes: ended at once, `ssh` would
# lose the last words of its host. The agent learns of it by the end of its input.
_UNTIL_AGENT_ENDS = ("sh", "-c", 'trap "" INT TERM; exec "$@"', "sh")


def launch_command(
    nodes: Nodes | None, processes: int, module: str, arguments: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the module that starts the ranks of a run and its arguments, or those given for a single rank.

    Nodes that are this machine alone need neither `ssh` nor a port. Raises ConfigurationError when the first host is
    one that the others cannot reach.
    """
    if nodes is not None and len(nodes.nodes) == 1 and is_this_machine(nodes.nodes[0].host, os.environ):
        processes, nodes = nodes.ranks, None
    if nodes is None:
        if processes == 1:
            return module, tuple(arguments)
        return "flows.machine.ranks", (str(processes), module, *arguments)
    first = nodes.nodes[0].host
    if len(nodes.nodes) > 1 and first in _LOOPBACK:
        raise ConfigurationError(f"The first host is {first}, where the others do not find it; write its name instead.")
    return "flows.machine.nodes", (json.dumps(asdict(nodes)), module, *arguments)


def places_of(nodes: Nodes, environment: Mapping[str, str]) -> Iterator[tuple[Node, Place]]:
    """Yield each node with the place of its ranks."""
    # Jobs of Slurm share nodes, so each has a port of its own.
    job = environment.get("SLURM_JOB_ID", "0")
    port = int(environment.get("MASTER_PORT") or _DEFAULT_PORT + (int(job) % 1000 if job.isdigit() else 0))
    first = 0
    for node in nodes.nodes:
        yield node, Place(node.ranks, first, nodes.ranks, nodes.nodes[0].host, port)
        first += node.ranks


def agent_command(host: str, starter: str, environment: Mapping[str, str]) -> list[str]:
    """Return the command that starts the agent of a host."""
    agent = [sys.executable, "-m", "flows.machine.node_agent"]
    if is_this_machine(host, environment):
        return agent
    if starter == "srun":
        step = ("srun", "--nodes=1", "--ntasks=1", f"--nodelist={host}", "--overlap", "--cpu-bind=none", "--unbuffered")
        return [*_UNTIL_AGENT_ENDS, *step, f"--chdir={Path.cwd()}", *agent]
    there = f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(agent)}"
    connection = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", host)
    return [*_UNTIL_AGENT_ENDS, *connection, there]


def is_this_machine(host: str, environment: Mapping[str, str]) -> bool:
    """Return whether a host of a hostfile, or a node of Slurm, is this machine."""
    if host in _LOOPBACK or host == environment.get("SLURMD_NODENAME"):
        return True
    own = socket.gethostname()
    if host in (own, own.split(".")[0]) or ("." not in own and host.split(".")[0] == own):
        return True
    return any(host == address.address for addresses in psutil.net_if_addrs().values() for address in addresses)


def forwarded_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the ranks of other machines get, too."""
    return {name: value for name, value in environment.items() if name.startswith(_FORWARDED)}


def start_node(node: Node, place: Place, starter: str, module: str, arguments: Sequence[str]) -> Child:
    """Start the agent of a node and tell it what to run."""
    process = subprocess.Popen(
        agent_command(node.host, starter, os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    )
    told = {
        "place": asdict(place),
        "module": module,
        "arguments": list(arguments),
        "environment": forwarded_environment(os.environ),
    }
    assert process.stdin is not None
    # An agent that is gone already has an exit code, which tells more. Not by the command line, which other users of
    # the hosts can read: the variables may be secrets of an object store.
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
    mark = f"{node.host}: " if place.first else ""
    return Child(f"Node {node.host}", process, mark=mark, stops_at_end_of_input=True)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    given, module, *rest = arguments
    told = json.loads(given)
    nodes = Nodes(tuple(Node(**node) for node in told["nodes"]), told["starter"])
    places = places_of(nodes, os.environ)
    return run_children([start_node(node, place, nodes.starter, module, rest) for node, place in places])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
