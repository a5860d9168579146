from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from valle.codec.mini.codec import MiniCodec, mini_revision
from valle.codec.mini.weights_file import (
    EMBEDDED,
    Provenance,
    encoding_revision,
    read_header,
    read_network,
    write_quality,
    write_weights,
)
from valle.tensors import write_tensors
from warehouse.errors import DependencyError

PROVENANCE = Provenance(num_steps=7, training_data="2 clips", licence="Apache-2.0", credits="someone")


def write(path, network):
    return write_weights(path, network, PROVENANCE)


def test_a_network_comes_back_rounded_to_half_precision(random_network, small_config, tmp_path):
    network = random_network(small_config)
    write(tmp_path / "w.safetensors", network)
    back = read_network(tmp_path / "w.safetensors")
    for name, tensor in dict(network.named_parameters()).items():
        torch.testing.assert_close(dict(back.named_parameters())[name], tensor.half().float(), rtol=0, atol=0)
    torch.testing.assert_close(back.quantizer.codebooks, network.quantizer.codebooks.half().float(), rtol=0, atol=0)


def test_the_header_tells_shape_and_provenance(random_network, small_config, tmp_path):
    header = write(tmp_path / "w.safetensors", random_network(small_config))
    assert read_header(tmp_path / "w.safetensors") == header
    assert (header.config, header.provenance, header.quality) == (small_config, PROVENANCE, {})


def test_what_was_measured_goes_into_the_header_and_nothing_else_changes(random_network, small_config, tmp_path):
    path = tmp_path / "w.safetensors"
    header = write(path, random_network(small_config))
    before = read_network(path).state_dict()
    write_quality(path, {"wer": 0.05, "asr": "base", "clips": 40})
    assert read_header(path) == replace(header, quality={"wer": 0.05, "asr": "base", "clips": 40})
    after = read_network(path).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


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


def test_the_revision_changes_with_what_is_seen(random_network, small_config):
    tensors = {name: tensor.detach() for name, tensor in random_network(small_config).named_parameters()}
    seen = [small_config]
    seen += [
        replace(small_config, **{name: 20}) for name in ("short_window", "frames_per_hop", "num_bands", "pitch_bands")
    ]
    assert len({encoding_revision(tensors, config) for config in seen}) == len(seen)


def test_missing_and_damaged_files_name_the_command(random_network, small_config, tmp_path):
    with pytest.raises(DependencyError, match="pip install"):
        read_header(tmp_path / "nothing.safetensors")
    damaged = tmp_path / "w.safetensors"
    write(damaged, random_network(small_config))
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(DependencyError, match="pip install"):
        read_network(damaged)


def test_a_file_that_lacks_a_tensor_is_one_sentence(random_network, small_config, tmp_path):
    path = tmp_path / "w.safetensors"
    header = write(path, random_network(small_config))
    tensors = load_file(path)
    del tensors["decoder.phase.weight"]
    write_tensors(path, tensors, header.to_metadata())
    with pytest.raises(DependencyError, match="another version"):
        read_network(path)


def test_the_shipped_file_says_what_it_was_trained_on_and_how_good_it_is():
    header = read_header(EMBEDDED)
    assert header.provenance.licence == "Apache-2.0"
    assert "hours" in header.provenance.training_data
    assert "LibriSpeech" in header.provenance.credits and "Kokoro" in header.provenance.credits
    assert header.quality["codebooks"] == header.config.num_codebooks
    assert header.quality["clips"] >= 40
    # Measured, and written there by the report.
    assert 0 < header.quality["wer_of_recordings"] < header.quality["wer"] < header.quality["wer_of_recordings"] + 0.04
    assert header.quality["speaker_cosine"] >= 0.88
    assert header.quality["distillmos"] >= 2.8


def test_the_shipped_file_is_small_and_its_revision_is_that_of_its_tensors():
    assert EMBEDDED.stat().st_size <= 16e6
    header = read_header(EMBEDDED)
    network = read_network(EMBEDDED)
    tensors = dict(network.named_parameters()) | {"quantizer.codebooks": network.quantizer.codebooks}
    tensors = {name: tensor.detach() for name, tensor in tensors.items()}
    assert encoding_revision(tensors, header.config) == header.revision
    assert MiniCodec(network, revision=header.revision).spec.revision == header.revision
