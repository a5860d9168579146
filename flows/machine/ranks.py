"""`python -m flows.machine.ranks COUNT MODULE ARGUMENTS`: run a module as COUNT ranks of this machine.

The ranks find each other by the variables of torch's launchers. Unlike those, this one opens no port: its ranks meet in
a file. It forwards signals to all ranks and gives them time to save. A rank that fails ends the others, and its last
lines end the output. `flows.machine.nodes` starts ranks on several machines.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.machine.children import Child, run_children
from flows.runtime.parent_death import dependent_command, dependent_environment


@dataclass(frozen=True, slots=True)
class Place:
    """The ranks of this machine among those of the run, and the address at which the ranks of several machines meet."""

    count: int
    """Ranks of this machine."""
    first: int
    """Number of its first rank."""
    world: int
    """Ranks of all machines."""
    address: str
    """Host of rank 0."""
    port: int
    """Port of rank 0; never opened when all ranks are on one machine."""

    def environment_of(self, local: int) -> Mapping[str, str]:
        """Return what a launcher tells the rank `local` of this machine."""
        numbers = {
            "RANK": self.first + local,
            "LOCAL_RANK": local,
            "WORLD_SIZE": self.world,
            "LOCAL_WORLD_SIZE": self.count,
            "MASTER_PORT": self.port,
        }
        return {name: str(value) for name, value in numbers.items()} | {"MASTER_ADDR": self.address}


def one_machine(count: int) -> Place:
    """Return the place of `count` ranks that are all on this machine."""
    return Place(count=count, first=0, world=count, address="127.0.0.1", port=0)


def start_ranks(place: Place, module: str, arguments: Sequence[str], *, has_input: bool = True) -> list[Child]:
    """Start the ranks of this machine; rank 0 reads the standard input of the launcher, where it `has_input`."""
    return [_start_rank(place, local, module, arguments, has_input=has_input) for local in range(place.count)]


def _start_rank(place: Place, local: int, module: str, arguments: Sequence[str], *, has_input: bool) -> Child:
    number = place.first + local
    process = subprocess.Popen(
        dependent_command(module, arguments),
        env={**dependent_environment(), **place.environment_of(local)},
        stdin=None if number == 0 and has_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    )
    return Child(f"Rank {number}", process, mark=f"rank {number}: " if number else "")


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    count, module, *rest = arguments
    return run_children(start_ranks(one_machine(int(count)), module, rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
