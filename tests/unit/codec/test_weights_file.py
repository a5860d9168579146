import pytest
import torch

from valle.codec.mini import MiniCodec, mini_revision
from valle.codec.weights_file import EMBEDDED, encoding_revision, read_header, read_network, write_weights
from warehouse.errors import DependencyError


def write(path, network):
    return write_weights(path, network, num_steps=7, licence="Apache-2.0", credits_line="someone")


def test_a_network_comes_back_rounded_to_half_precision(random_network, small_config, tmp_path):
    network = random_network(small_config)
    write(tmp_path / "w.safetensors", network)
    back = read_network(tmp_path / "w.safetensors")
    for name, tensor in dict(network.named_parameters()).items():
        torch.testing.assert_close(dict(back.named_parameters())[name], tensor.half().float(), rtol=0, atol=0)
    torch.testing.assert_close(back.quantizer.codebooks, network.quantizer.codebooks.half().float(), rtol=0, atol=0)


def test_the_header_tells_shape_steps_licence_and_credits(random_network, small_config, tmp_path):
    header = write(tmp_path / "w.safetensors", random_network(small_config))
    assert read_header(tmp_path / "w.safetensors") == header
    assert (header.config, header.num_steps, header.licence, header.credits) == (
        small_config,
        7,
        "Apache-2.0",
        "someone",
    )


def test_a_better_decoder_keeps_the_revision_and_another_transform_changes_it(random_network, small_config, tmp_path):
    network = random_network(small_config)
    revision = write(tmp_path / "w.safetensors", network).revision
    with torch.no_grad():
        network.decoder.harmonics.weight.add_(1)
    assert write(tmp_path / "w.safetensors", network).revision == revision
    with torch.no_grad():
        network.transform.taps.weight[0, 0, 0] += 1
    assert write(tmp_path / "w.safetensors", network).revision != revision
    assert mini_revision(tmp_path / "w.safetensors") != revision


def test_missing_and_damaged_files_name_the_command(random_network, small_config, tmp_path):
    with pytest.raises(DependencyError, match="pip install"):
        read_header(tmp_path / "nothing.safetensors")
    damaged = tmp_path / "w.safetensors"
    write(damaged, random_network(small_config))
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(DependencyError, match="pip install"):
        read_network(damaged)


def test_the_shipped_file_is_small_and_its_revision_is_that_of_its_tensors():
    assert EMBEDDED.stat().st_size <= 16e6
    header = read_header(EMBEDDED)
    network = read_network(EMBEDDED)
    tensors = dict(network.named_parameters()) | {"quantizer.codebooks": network.quantizer.codebooks}
    tensors = {name: tensor.detach() for name, tensor in tensors.items()}
    assert encoding_revision(tensors, header.config) == header.revision
    assert MiniCodec(network, revision=header.revision).spec.revision == header.revision
