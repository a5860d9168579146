"""The nodes of a run: hostfiles, variables of Slurm, and the sentences for what cannot be read."""

import os

import pytest

from valle.training.engines.nodes import Node, count_ranks, expand_nodelist, find_nodes, read_hostfile
from valle.training.options import TrainSettings
from warehouse.errors import ConfigurationError


def test_a_hostfile_has_the_ranks_of_each_host(tmp_path):
    file = tmp_path / "hosts"
    lines = ["# the cluster", "gpu1 slots=8", "", "gpu2.example.org slots=4  # half of it", "10.0.0.3"]
    file.write_text("\n".join(lines), encoding="utf-8")
    expected = (Node("gpu1", 8), Node("gpu2.example.org", 4), Node("10.0.0.3", 2))
    assert read_hostfile(file, 2) == expected
    found = find_nodes(str(file), 2, {})
    assert found is not None
    assert (found.nodes, found.starter, found.ranks) == (expected, "ssh", 14)
    assert count_ranks(str(file), 2, {}) == 14


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"gpu1 slots=0", "Line 1 of .* is 'gpu1 slots=0'; a line is `HOST slots=RANKS`"),
        (b"gpu1 slots=8\ngpu2 gpu3", "Line 2 of .* is 'gpu2 gpu3'"),
        (b"-oProxyCommand=x", "Line 1"),
        (b"gpu1\ngpu1 slots=2", "Line 2 of .* names gpu1 again"),
        (b"# nothing\n", "names no host"),
        (b"\xff\xfe\x00", r"cannot be read \(no text\)"),
        (None, r"cannot be read \(No such file or directory\)"),
    ],
)
def test_a_hostfile_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, content, sentence):
    file = tmp_path / "hosts"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=sentence):
        read_hostfile(file, 1)


@pytest.mark.parametrize(
    ("names", "hosts"),
    [
        ("gpu1", ("gpu1",)),
        ("gpu[08-11,3],login-2", ("gpu08", "gpu09", "gpu10", "gpu11", "gpu3", "login-2")),
        ("a[1-2]-ib,b[001]", ("a1-ib", "a2-ib", "b001")),
    ],
)
def test_a_list_of_slurm_is_expanded(names, hosts):
    assert expand_nodelist(names) == hosts
    found = find_nodes("slurm", 8, {"SLURM_JOB_NODELIST": names})
    assert found is not None
    assert (tuple(node.host for node in found.nodes), found.starter) == (hosts, "srun")
    assert {node.ranks for node in found.nodes} == {8}


@pytest.mark.parametrize("names", ["gpu[1-", "gpu[a-b]", "a,,b", "gpu[1][2]", "-x", "a b"])
def test_a_list_of_another_form_is_refused(names):
    with pytest.raises(ConfigurationError, match="is none of Slurm"):
        expand_nodelist(names)


def test_slurm_outside_of_an_allocation_is_refused():
    with pytest.raises(ConfigurationError, match="SLURM_JOB_NODELIST is not set; start within an allocation"):
        find_nodes("slurm", 8, {})


def test_nodes_need_deepspeed_and_none_are_this_machine():
    assert find_nodes("", 4, os.environ) is None
    assert count_ranks("", 4, {}) == 4
    with pytest.raises(ValueError, match="Several nodes need the engine deepspeed"):
        TrainSettings(nodes="hosts")
