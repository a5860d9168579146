"""The nodes of a run: machines and their ranks, from a hostfile or from the variables of Slurm."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warehouse.errors import ConfigurationError

SLURM = "slurm"
_LINE = re.compile(r"(?P<host>[\w.:-]+)(?:\s+slots=(?P<slots>[1-9]\d*))?")
_NAME = re.compile(r"[\w.-]+")
_GROUP = re.compile(r"(?P<before>[^\[\]]*)\[(?P<ranges>[\d,-]+)\](?P<after>[^\[\]]*)")


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the run and its number of ranks."""

    host: str
    ranks: int


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of a run in the order of their ranks, and the program that starts a process on one of them."""

    nodes: tuple[Node, ...]
    starter: Literal["ssh", "srun"]

    @property
    def ranks(self) -> int:
        """Return the ranks of all nodes."""
        return sum(node.ranks for node in self.nodes)


def find_nodes(given: str, ranks: int, environment: Mapping[str, str]) -> Nodes | None:
    """Return the nodes that the option `nodes` names; None for this machine alone.

    `ranks` is the number of ranks of a node whose line names none. Raises ConfigurationError for a hostfile that
    cannot be read and for variables of Slurm that are not set.
    """
    if not given:
        return None
    if given != SLURM:
        return Nodes(read_hostfile(Path(given), ranks), "ssh")
    names = environment.get("SLURM_JOB_NODELIST", "")
    if not names:
        raise ConfigurationError(
            "nodes is slurm, but SLURM_JOB_NODELIST is not set; start within an allocation (sbatch or salloc), or name "
            "a hostfile."
        )
    return Nodes(tuple(Node(host, ranks) for host in expand_nodelist(names)), "srun")


def read_hostfile(path: Path, ranks: int) -> tuple[Node, ...]:
    """Read lines of `HOST slots=RANKS`, the format of MPI and DeepSpeed; without slots a host has `ranks`.

    Raises ConfigurationError with the line that is wrong.
    """
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise ConfigurationError(f"The hostfile {path} cannot be read ({reason}).") from error
    found: dict[str, Node] = {}
    for number, line in enumerate(lines, 1):
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        match = _LINE.fullmatch(content)
        # A name with a hyphen first would be an option of ssh.
        if match is None or content.startswith("-"):
            raise ConfigurationError(f"Line {number} of {path} is {content!r}; a line is `HOST slots=RANKS`.")
        host = match["host"]
        if host in found:
            raise ConfigurationError(f"Line {number} of {path} names {host} again; give each host one line.")
        found[host] = Node(host, int(match["slots"] or ranks))
    if not found:
        raise ConfigurationError(f"The hostfile {path} names no host; a line is `HOST slots=RANKS`.")
    return tuple(found.values())


def expand_nodelist(names: str) -> tuple[str, ...]:
    """Return the hosts of a list of Slurm, such as `gpu[01-03,7],login`; numbers keep their leading zeros.

    Raises ConfigurationError for text of another form.
    """
    # A comma within brackets separates numbers, not hosts.
    hosts = tuple(host for part in re.split(r",(?![^\[]*\])", names) for host in _expand(part.strip()))
    wrong = next((host for host in hosts if not _NAME.fullmatch(host) or host.startswith("-")), None)
    if wrong is not None or not hosts:
        raise ConfigurationError(f"The list of nodes {names!r} is none of Slurm; it has the form gpu[01-03,7],login.")
    return hosts


def _expand(name: str) -> Iterator[str]:
    match = _GROUP.fullmatch(name)
    if match is None:
        yield name
        return
    for numbers in match["ranges"].split(","):
        first, _, last = numbers.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            yield ""
            continue
        for number in range(int(first), int(last or first) + 1):
            yield f"{match['before']}{number:0{len(first)}d}{match['after']}"


def count_ranks(nodes: str, processes: int, environment: Mapping[str, str]) -> int:
    """Return the ranks of a run with these options. Raises ConfigurationError as `find_nodes` does."""
    found = find_nodes(nodes, processes, environment)
    return processes if found is None else found.ranks
