import os
import socket
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.unit.training.toy import make_toy_set
from valle.training.loop import train
from valle.training.options import TrainOptions


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_ranks_with_one_batch_each_equal_one_rank_with_two(tmp_path):
    options = TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"),
        run_dir=tmp_path / "one",
        model="nano",
        max_steps=4,
        batch_tokens=300,
        prompt_seconds=(0.1, 0.2),
        accumulate=2,
    )
    alone = train(options)
    shared = options.model_copy(
        update={"engine": "deepspeed", "zero_stage": 2, "accumulate": 1, "run_dir": tmp_path / "two"}
    )
    file = tmp_path / "run.json"
    file.write_text(shared.model_dump_json())
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "valle.training", str(file)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=240)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], printed
    together = load_file(tmp_path / "two" / "checkpoints" / "step-00000004" / "model.safetensors")
    for name, tensor in load_file(alone.checkpoint / "model.safetensors").items():
        assert (tensor - together[name]).abs().max() < 1e-4, name
