"""A continued run: what it keeps, accepts and refuses, and the checkpoint that it continues from."""

import json
import logging
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.killed import STEPS
from tests.unit.training.test_loop import Typed, changed, lines, weights
from valle.checkpoints.checkpoint import load_model, read_card
from valle.checkpoints.runs import checkpoint_directory, list_checkpoints
from valle.state_files import read_state, write_state
from valle.training.loop import train
from warehouse.errors import CheckpointError, StorageError, TrainingError


def steps(options):
    return [read_card(path).step for path in list_checkpoints(options.run_dir)]


def damage(checkpoint, name):
    """Damage a file as a power cut or a bad disk does."""
    path = checkpoint / name.removesuffix(" flipped").removesuffix(" missing")
    if name.endswith("missing"):
        path.unlink()
    elif name.endswith("flipped"):
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "trainer.safetensors",
        "checkpoint.json",
        "model.safetensors flipped",
        "trainer.safetensors flipped",
        "trainer.safetensors missing",
    ],
)
def test_a_run_continues_from_the_checkpoint_before_a_damaged_one_with_the_same_bits(options, tmp_path, name, caplog):
    straight = train(options)
    options = changed(options, run_dir=tmp_path / "damaged", save_every=2)
    train(options, commands=Typed("quit", 5))
    assert steps(options) == [2, 4]
    newest = checkpoint_directory(options.run_dir, 4)
    damage(newest, name)
    with caplog.at_level(logging.WARNING):
        resumed = train(options)
    assert str(newest / name.split()[0]) in caplog.text
    assert f"continues from the older checkpoint {checkpoint_directory(options.run_dir, 2)}" in caplog.text
    assert (newest.with_name("damaged-step-00000004")).is_dir()
    for parameter, tensor in weights(straight).items():
        assert torch.equal(weights(resumed)[parameter], tensor), parameter


def test_a_run_that_stops_between_two_lines_of_metrics_counts_every_token(options, tmp_path):
    straight = train(changed(options, log_every=100))
    options = changed(options, run_dir=tmp_path / "stopped", log_every=100)
    train(options, commands=Typed("quit", 2))
    assert train(options).metrics["tokens"] == straight.metrics["tokens"] > 0


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(options):
    result = train(options)
    damage(result.checkpoint, "trainer.safetensors")
    with pytest.raises(
        CheckpointError, match=r"No checkpoint of .* can be continued: .*trainer.safetensors is damaged"
    ):
        train(options)
    assert list_checkpoints(options.run_dir) == [result.checkpoint]


def test_a_damaged_checkpoint_that_is_to_speak_names_the_older_one(options):
    result = train(changed(options, save_every=3))
    older = checkpoint_directory(options.run_dir, 3)
    damage(result.checkpoint, "model.safetensors")
    with pytest.raises(CheckpointError, match=f"missing or damaged .*older checkpoint of its run is {older}"):
        load_model(result.checkpoint)
    damage(result.checkpoint, "checkpoint.json")
    with pytest.raises(CheckpointError, match=f"damaged or no card .*older checkpoint of its run is {older}"):
        load_model(result.checkpoint)


def test_what_a_killed_process_left_is_removed(options):
    result = train(changed(options, save_every=3))
    for name in (".step-00000009.tmp", ".step-00000001.tmp"):
        (result.checkpoint.with_name(name) / "trainer").mkdir(parents=True)
    train(options)
    assert sorted(path.name for path in result.checkpoint.parent.iterdir()) == ["step-00000003", "step-00000006"]


@pytest.mark.parametrize("change", [{"weight_decay": 0.9}, {"betas": (0.5, 0.5)}])
def test_weight_decay_and_betas_that_change_take_effect_and_are_named(options, tmp_path, change, caplog):
    options = changed(options, max_steps=8)
    train(options, commands=Typed("quit", 4))
    shutil.copytree(options.run_dir, tmp_path / "changed")
    unchanged = train(options)
    with caplog.at_level(logging.WARNING):
        other = train(changed(options, run_dir=tmp_path / "changed", **change))
    name = next(iter(change))
    assert f"continues with {name} " in caplog.text
    difference = max((weights(other)[key] - tensor).abs().max() for key, tensor in weights(unchanged).items())
    assert difference > 1e-4
    assert read_card(other.checkpoint).options[name] == json.loads(json.dumps(next(iter(change.values()))))


def test_options_that_did_not_change_are_not_named(options, caplog):
    train(options, commands=Typed("quit", 4))
    train(options)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "prodigy"}, "has optimizer adamw, not prodigy"),
        ({"optimizer": "schedule-free", "schedule": "constant"}, "has optimizer adamw, not schedule-free"),
        ({"seed": 5}, "has seed 0, not 5: the order of the data"),
        ({"start_from": "elsewhere"}, "start_from applies to new runs only"),
        ({"init_code_embeddings": "codec"}, "init_code_embeddings applies to new runs only"),
        ({"group": 2}, "model of checkpoint"),
    ],
)
def test_options_that_cannot_change_within_a_run_are_refused(options, change, message):
    train(options, commands=Typed("quit", 4))
    if "start_from" in change:
        change = {"start_from": train(changed(options, run_dir=options.run_dir.parent / "first")).checkpoint}
    with pytest.raises(CheckpointError, match=message):
        train(changed(options, **change))
    assert steps(options) == [3]


@pytest.mark.parametrize(
    "change", [{"batch_tokens": 700}, {"accumulate": 3}, {"length_ratio": 0.4}, {"precision": "bf16"}]
)
def test_options_that_may_change_are_accepted(options, change):
    train(options, commands=Typed("quit", 4))
    assert train(changed(options, **change)).step == 6


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("learning_rate", [30.0, 100.0])
def test_a_diverged_update_never_replaces_a_checkpoint_and_the_named_one_continues(options, keep, learning_rate):
    options = changed(options, save_every=1, keep_checkpoints=keep, max_steps=12)
    train(options, commands=Typed("quit", 4))
    with pytest.raises(TrainingError, match="of step 4 diverged") as failure:
        train(changed(options, learning_rate=learning_rate))
    assert str(checkpoint_directory(options.run_dir, 3)) in str(failure.value)
    assert steps(options)[-1] == 3
    assert train(options).step == 12


def test_a_last_update_that_diverges_ends_the_run_as_failed(options):
    options = changed(options, max_steps=3)
    train(options)
    with pytest.raises(TrainingError, match=r"update of step 4 diverged .* continues from .*step-00000003"):
        train(changed(options, max_steps=4, learning_rate=100.0))
    assert steps(options) == [3]
    assert "dev_loss" not in lines(options)[-1] or lines(options)[-1]["step"] == 3


def test_a_run_that_diverges_before_its_first_checkpoint_names_none(options):
    with pytest.raises(TrainingError, match="no checkpoint was saved yet"):
        train(changed(options, learning_rate=100.0, warmup_steps=0, save_every=1))
    assert list_checkpoints(options.run_dir) == []


class LimitedFileSize:
    """A disk that is full once a file has so many bytes."""

    def __init__(self, size):
        self._size = size

    def __enter__(self):
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *error):
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@pytest.mark.parametrize("full", ["trainer.safetensors", "model.safetensors", "checkpoint.json"])
def test_a_full_disk_is_one_sentence_and_loses_nothing(options, tmp_path, full):
    straight = train(options)
    sizes = {path.name: path.stat().st_size for path in straight.checkpoint.iterdir()}
    limit = {"trainer.safetensors": sizes["model.safetensors"] + 1000, "model.safetensors": 100_000}.get(full, 100)
    options = changed(options, run_dir=tmp_path / "full")
    train(options, commands=Typed("quit", 4))
    with LimitedFileSize(limit), pytest.raises((CheckpointError, StorageError), match=r"disk|space") as failure:
        train(changed(options, log_every=100, evaluate_every=100) if limit > 100 else options)
    assert str(options.run_dir) in str(failure.value)
    assert [path.name for path in (options.run_dir / "checkpoints").iterdir()] == ["step-00000003"]
    resumed = train(options)
    for name, tensor in weights(straight).items():
        assert torch.equal(weights(resumed)[name], tensor), name


class SmallDisk:
    """A file system of its own in a folder, whose size can be changed. Mounting needs root and Linux."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.is_mounted = self._mount("-t", "tmpfs", "tmpfs")

    def set_size(self, size):
        assert self._mount("-o", f"remount,size={size}")

    def _mount(self, *arguments):
        command = ["mount", *arguments, str(self.folder)]
        return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


def test_a_disk_that_fills_inside_the_state_of_the_trainer_is_one_sentence_and_loses_nothing(options, tmp_path):
    straight = train(options)
    sizes = {path.name: path.stat().st_size for path in straight.checkpoint.iterdir()}
    with SmallDisk(tmp_path / "disk") as disk:
        if not disk.is_mounted:
            pytest.skip("a file system cannot be mounted here")
        options = changed(options, run_dir=disk.folder / "run")
        train(options, commands=Typed("quit", 4))
        used = shutil.disk_usage(disk.folder).used
        disk.set_size(used + sizes["trainer.safetensors"] // 2)
        with pytest.raises(CheckpointError, match="No space left on device") as failure:
            train(options)
        assert len(str(failure.value).splitlines()) == 1
        assert str(checkpoint_directory(options.run_dir, 3)) in str(failure.value), "names the checkpoint that is left"
        assert [path.name for path in (options.run_dir / "checkpoints").iterdir()] == ["step-00000003"]
        assert shutil.disk_usage(disk.folder).used < used + 100_000, "what was written is removed"
        disk.set_size(2 * used + 10_000_000)
        resumed = train(options)
        for name, tensor in weights(straight).items():
            assert torch.equal(weights(resumed)[name], tensor), name


@pytest.mark.parametrize(("first", "second"), [(0, 2), (1, 3), (3, 0)])
def test_a_deepspeed_run_continues_in_another_zero_stage(options, tmp_path, first, second):
    options = changed(options, engine="deepspeed", zero_stage=first)
    straight = train(options)
    moved = changed(options, run_dir=tmp_path / "moved")
    train(moved, commands=Typed("quit", 4))
    resumed = train(changed(moved, zero_stage=second))
    for name, tensor in weights(straight).items():
        torch.testing.assert_close(weights(resumed)[name], tensor, atol=1e-5, rtol=0)


def test_the_state_of_another_model_is_refused(options):
    result = train(options, commands=Typed("quit", 4))
    state = read_state(result.checkpoint / "trainer.safetensors")
    state["optimizer"]["param_groups"] = state["optimizer"]["param_groups"][:1]
    write_state(result.checkpoint / "trainer.safetensors", state)
    card = json.loads((result.checkpoint / "checkpoint.json").read_text())
    (result.checkpoint / "checkpoint.json").write_text(json.dumps(card | {"files": {}}))
    with pytest.raises(CheckpointError, match="not that of this model and optimizer"):
        train(options)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(18, marks=pytest.mark.long)])
def test_a_run_that_is_killed_again_and_again_ends_with_the_bits_of_a_calm_one(tmp_path, kills):
    command = [sys.executable, "-m", "tests.unit.training.killed", str(tmp_path), str(kills)]
    root = Path(__file__).parents[3]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout
    assert int(printed.splitlines()[-1]) >= kills // 3, "too few kills met a run at work"
    calm, killed = (
        load_file(checkpoint_directory(tmp_path / name, STEPS) / "model.safetensors") for name in ("calm", "killed")
    )
    assert calm.keys() == killed.keys()
    assert all(torch.equal(calm[name], killed[name]) for name in calm)
    assert not list((tmp_path / "killed").rglob(".step-*.tmp"))
