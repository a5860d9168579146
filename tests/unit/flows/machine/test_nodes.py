"""Ranks of several machines: what starts them, and that they end together.

There is one machine here: a program called `ssh` in the PATH stands for the connection, and runs its command here.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.machine.nodes import agent_command, forwarded_environment, is_this_machine, launch_command, places_of
from flows.machine.ranks import Place, one_machine
from tests.unit.flows.machine.stopping import stop_after_two_steps
from tests.unit.training.toy import make_toy_set
from valle.training.engines.nodes import Node, Nodes, read_hostfile
from valle.training.engines.process_group import is_single_node
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError

ROOT = Path(__file__).parents[4]
TWO = Nodes((Node("gpu1", 2), Node("gpu2", 3)), "ssh")
SSH = """#!/bin/sh
# ssh -T -o X -o Y HOST COMMAND
echo "$6" >> "$SSH_LOG"
[ "$6" = unreachable ] && { echo "ssh: connect to host unreachable port 22: No route to host" >&2; exit 255; }
exec sh -c "$7"
"""
WORKER = """
import os, signal, sys, time
from pathlib import Path
rank, local = os.environ["RANK"], os.environ["LOCAL_RANK"]
signal.signal(signal.SIGTERM, lambda *_: (print("saved", rank, flush=True), sys.exit(0)))
print(rank, local, os.environ["WORLD_SIZE"], os.environ["NCCL_DEBUG"], flush=True)
ready = Path(__file__).parent
(ready / f"ready-{rank}").touch()
while not all((ready / f"ready-{other}").exists() for other in range(4)):  # one that dies does so beside the others
    time.sleep(0.05)
if sys.argv[1] == "raise" and rank == "2":
    sys.exit("CUDA error: an illegal memory access")
if sys.argv[1] != "end":
    time.sleep(3600)
"""


def test_ranks_are_numbered_over_the_nodes_and_meet_at_the_first():
    places = [place for _, place in places_of(TWO, {})]
    assert places == [Place(2, 0, 5, "gpu1", 29500), Place(3, 2, 5, "gpu1", 29500)]
    environment = dict(places[1].environment_of(1))
    assert environment == {
        "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "5", "LOCAL_WORLD_SIZE": "3",
        "MASTER_ADDR": "gpu1", "MASTER_PORT": "29500",
    }  # fmt: skip
    assert not is_single_node(environment)
    assert is_single_node(one_machine(2).environment_of(0))


def test_jobs_of_slurm_have_ports_of_their_own_and_a_given_port_is_used():
    (_, first), *_ = places_of(TWO, {"SLURM_JOB_ID": "1017"})
    (_, given), *_ = places_of(TWO, {"SLURM_JOB_ID": "1017", "MASTER_PORT": "5000"})
    assert (first.port, given.port) == (29517, 5000)


def test_one_host_needs_no_connection_and_no_port(tmp_path):
    assert launch_command(None, 1, "m", ["x"]) == ("m", ("x",))
    assert launch_command(None, 2, "m", ["x"]) == ("flows.machine.ranks", ("2", "m", "x"))
    (tmp_path / "hosts").write_text("localhost slots=2\n", encoding="utf-8")
    here = Nodes(read_hostfile(tmp_path / "hosts", 1), "ssh")
    assert launch_command(here, 1, "m", ["x"]) == ("flows.machine.ranks", ("2", "m", "x"))
    module, arguments = launch_command(TWO, 1, "m", ["x"])
    assert (module, arguments[1:]) == ("flows.machine.nodes", ("m", "x"))
    assert json.loads(arguments[0])["nodes"][1] == {"host": "gpu2", "ranks": 3}
    with pytest.raises(ConfigurationError, match="The first host is localhost, where the others do not find it"):
        launch_command(Nodes((Node("localhost", 1), Node("gpu2", 1)), "ssh"), 1, "m", [])


def test_an_agent_is_started_here_by_ssh_or_in_a_step_of_slurm():
    agent = [sys.executable, "-m", "flows.machine.node_agent"]
    assert agent_command("localhost", "ssh", {}) == agent
    assert agent_command("gpu7", "srun", {"SLURMD_NODENAME": "gpu7"}) == agent
    there = agent_command("gpu7", "ssh", {})
    assert there[:4] == ["sh", "-c", 'trap "" INT TERM; exec "$@"', "sh"]
    assert there[4:] == ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "gpu7", there[-1]]
    assert shlex.split(there[-1]) == ["cd", str(Path.cwd()), "&&", "exec", *agent]
    step = agent_command("gpu7", "srun", {})
    assert {"--nodelist=gpu7", "--overlap", f"--chdir={Path.cwd()}"} <= set(step)
    assert step[-3:] == agent
    assert is_this_machine(socket.gethostname(), {})
    assert not is_this_machine("gpu7", {})


def test_settings_of_libraries_are_forwarded_and_devices_are_not():
    given = {"NCCL_DEBUG": "INFO", "PYTHONPATH": "/x", "CUDA_VISIBLE_DEVICES": "0", "HOME": "/root", "VALLE_LAKE": "y"}
    assert set(forwarded_environment(given)) == {"NCCL_DEBUG", "PYTHONPATH", "VALLE_LAKE"}


def start(folder: Path, other: str, module: str, *arguments: str, slots: int = 2) -> "subprocess.Popen[str]":
    """Start a run on this machine and `other`, to which the `ssh` in the PATH connects."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(SSH, encoding="utf-8")
    (programs / "ssh").chmod(0o755)
    (folder / "worker.py").write_text(WORKER, encoding="utf-8")
    nodes = Nodes((Node(socket.gethostname(), slots), Node(other, slots)), "ssh")
    launcher, launched = launch_command(nodes, 1, module, arguments)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        "SSH_LOG": str(folder / "ssh.log"),
        "NCCL_DEBUG": "INFO",
    }
    return subprocess.Popen(
        [sys.executable, "-m", launcher, *launched],
        cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ranks_of_two_machines_end_well(tmp_path: Path) -> None:
    run = start(tmp_path, "other", "worker", "end")
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert (tmp_path / "ssh.log").read_text() == "other\n"
    assert sorted(output.splitlines()) == [
        "0 0 4 INFO", "other: rank 2: 2 0 4 INFO", "other: rank 3: 3 1 4 INFO", "rank 1: 1 1 4 INFO",
    ]  # fmt: skip


def test_a_rank_that_dies_on_another_machine_ends_all_and_is_named(tmp_path: Path) -> None:
    run = start(tmp_path, "other", "worker", "raise")
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 1
    last = output.splitlines()[-1]
    assert last.startswith("Node other ended with exit code 1; its last words: ")
    assert "Rank 2 ended with exit code 1; its last words: 2 0 4 INFO | CUDA error: an illegal memory access" in last
    # Those of this machine, too, which had no fault.
    assert {"saved 0", "rank 1: saved 1"} <= set(output.splitlines())


def test_a_machine_that_no_connection_reaches_is_named(tmp_path: Path) -> None:
    run = start(tmp_path, "unreachable", "worker", "wait")
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 255
    assert output.splitlines()[-1].endswith("No route to host")
    assert "Node unreachable ended with exit code 255" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_ranks_of_every_machine(tmp_path: Path, number: int) -> None:
    run = start(tmp_path, "other", "worker", "wait")
    assert run.stdout is not None
    for _ in range(4):
        run.stdout.readline()
    run.send_signal(number)
    # The pipe has its end when every rank is gone; a killed launcher prints nothing more.
    output = run.stdout.read()
    run.wait(300)
    if number == signal.SIGTERM:
        assert run.returncode == 0
        assert sorted(output.split()[-1] for output in output.splitlines()) == ["0", "1", "2", "3"]


@pytest.mark.long
def test_a_training_on_two_machines_that_is_stopped_has_a_checkpoint_of_both(tmp_path: Path) -> None:
    options = TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"), run_dir=tmp_path / "run", model="nano", batch_tokens=300,
        prompt_seconds=(0.1, 0.2), max_steps=100_000, log_every=1, engine="deepspeed", zero_stage=1,
    )  # fmt: skip
    (tmp_path / "run.json").write_text(options.model_dump_json(), encoding="utf-8")
    run = start(tmp_path, "other", "valle.training", str(tmp_path / "run.json"), slots=1)
    assert stop_after_two_steps(run, tmp_path / "run").ranks == 2
