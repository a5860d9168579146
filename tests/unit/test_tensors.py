import os
import stat

import torch
from safetensors import safe_open

from valle.tensors import write_tensors


def test_what_is_written_comes_back_with_what_is_said_of_it(tmp_path):
    columns = torch.arange(6.0).view(2, 3).T  # not contiguous
    write_tensors(tmp_path / "t.safetensors", {"columns": columns}, {"licence": "Apache-2.0"})
    with safe_open(tmp_path / "t.safetensors", framework="pt") as file:
        assert torch.equal(file.get_tensor("columns"), columns)
        assert file.metadata() == {"licence": "Apache-2.0"}


def test_a_file_may_be_read_by_whom_the_mask_of_the_process_lets(tmp_path):
    before = os.umask(0o022)
    try:
        write_tensors(tmp_path / "t.safetensors", {"one": torch.ones(1)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.safetensors").stat().st_mode) == 0o644
