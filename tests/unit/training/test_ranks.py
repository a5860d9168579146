import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.unit.training.launched import run_ranks
from tests.unit.training.toy import make_toy_set
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import checkpoint_directory
from valle.training.loop import train
from valle.training.options import TrainOptions

LOOPBACK = {"127.0.0.1", "::1"}


@pytest.fixture
def options(tmp_path):
    return TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"),
        run_dir=tmp_path / "one",
        model="nano",
        max_steps=6,
        batch_tokens=300,
        prompt_seconds=(0.1, 0.2),
        accumulate=2,
        log_every=1,
        learning_rate=1e-3,
    )


def final_weights(options):
    return load_file(checkpoint_directory(options.run_dir, options.max_steps) / "model.safetensors")


def differ(first, second):
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.slow
def test_two_ranks_with_one_batch_each_equal_one_rank_with_two(options, tmp_path):
    train(options)
    changes = {"engine": "deepspeed", "zero_stage": 2, "accumulate": 1, "run_dir": tmp_path / "two"}
    shared = options.model_copy(update=changes)
    printed = run_ranks(shared, tmp_path, 2)
    assert differ(final_weights(options), final_weights(shared)) < 1e-4
    # torch's own store would listen on every interface.
    assert all(set(rank["listening"]) <= LOOPBACK for rank in printed), printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zero_stage", "precision"),
    [
        pytest.param(0, "fp32", marks=pytest.mark.long),
        pytest.param(1, "fp32", marks=pytest.mark.long),
        pytest.param(1, "bf16", marks=pytest.mark.long),
        (2, "bf16"),
        pytest.param(3, "fp32", marks=pytest.mark.long),
    ],
)
def test_a_run_continues_on_another_number_of_ranks(options, tmp_path, zero_stage, precision):
    changes = {"engine": "deepspeed", "zero_stage": zero_stage, "precision": precision, "schedule": "constant"}
    alone = options.model_copy(update=changes)
    train(alone)
    moved = alone.model_copy(update={"run_dir": tmp_path / "moved"})
    train(moved.model_copy(update={"max_steps": 2}))
    printed = run_ranks(moved.model_copy(update={"max_steps": 4, "accumulate": 1}), tmp_path, 2)
    assert [rank["step"] for rank in printed] == [4, 4]
    assert read_card(checkpoint_directory(moved.run_dir, 4)).ranks == 2
    train(moved)
    # A lost moment of the optimizer would differ by the learning rate in each step.
    tolerance = 1e-4 if precision == "fp32" else 1e-3
    assert differ(final_weights(alone), final_weights(moved)) < tolerance


@pytest.mark.slow
@pytest.mark.long
def test_a_deepspeed_run_of_one_process_listens_on_the_loopback_interface_only(options, tmp_path):
    printed = run_ranks(options.model_copy(update={"engine": "deepspeed", "accumulate": 1}), tmp_path, 1)
    assert set(printed[0]["listening"]) <= LOOPBACK


_ENDS = """
import atexit, os, sys
from valle.training.__main__ import exit_process
if {is_rank}:
    from valle.training.engines.process_group import init_process_group
    init_process_group(os.environ)
atexit.register(print, "finalized")
print("last line")
exit_process(3)
"""


@pytest.mark.parametrize(("is_rank", "printed"), [(True, ["last line"]), (False, ["last line", "finalized"])])
def test_a_rank_ends_without_finalization_in_which_a_thread_of_gloo_could_abort_it(is_rank, printed):
    ended = subprocess.run([sys.executable, "-c", _ENDS.format(is_rank=is_rank)], capture_output=True, text=True)
    assert ended.returncode == 3
    assert ended.stdout.splitlines() == printed
