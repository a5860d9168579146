"""Start ranks of a run as processes, as a launcher would; each also reports where it listens."""

import json
import os
import socket
import subprocess
import sys

RANK = """
import json, sys, psutil
from valle.training.loop import train
from valle.training.options import TrainOptions

listening = set()
def look(line):
    for connection in psutil.Process().net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN:
            listening.add(connection.laddr.ip)

options = TrainOptions.model_validate_json(open(sys.argv[1]).read())
result = train(options, look)
print(json.dumps({"step": result.step, "listening": sorted(listening)}))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_ranks(options, folder, count):
    """Train with so many processes, without a launcher's environment for one; returns what each printed last."""
    file = folder / f"{options.run_dir.name}-{options.max_steps}-{count}.json"
    file.write_text(options.model_dump_json())
    common = os.environ | {"OMP_NUM_THREADS": "1"}
    if count > 1:
        common |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(file)],
            env=common | ({"RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    printed = [process.communicate(timeout=900) for process in ranks]
    assert [process.returncode for process in ranks] == [0] * count, [error for _, error in printed]
    return [json.loads(output.splitlines()[-1]) for output, _ in printed]
