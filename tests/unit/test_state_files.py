import numpy as np
import pytest
import torch

from valle.state_files import read_state, write_state
from warehouse.errors import CheckpointError


def test_a_nested_state_comes_back_as_it_was(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "moments": shared}}, "groups": [{"betas": (0.9, 0.96)}]},
        "view": shared.T,
        "rng": {"name": "PCG64", "state": 2**127 + 5, "has": False, "nothing": None, "rate": np.float64(0.1)},
        "not finite": float("inf"),
        "empty": torch.zeros(0, 4, dtype=torch.bfloat16),
    }
    write_state(tmp_path / "new" / "state.safetensors", state)
    found = read_state(tmp_path / "new" / "state.safetensors")
    assert torch.equal(found["optimizer"]["state"][0]["moments"], shared)
    assert torch.equal(found["view"], shared.T)
    assert found["optimizer"]["groups"] == state["optimizer"]["groups"]
    assert found["rng"] == state["rng"]
    assert found["not finite"] == float("inf")
    assert (found["empty"].shape, found["empty"].dtype) == ((0, 4), torch.bfloat16)


def test_other_values_are_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold a PosixPath"):
        write_state(tmp_path / "state", {"path": tmp_path})


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"12345678 not safetensors"])
def test_a_damaged_file_or_a_pickle_is_one_sentence(tmp_path, content):
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        read_state(tmp_path / "state")
    with pytest.raises(CheckpointError, match="missing or damaged"):
        read_state(tmp_path / "none")
