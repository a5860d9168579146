"""Adapters: trained alone, merged, mixed, switched per request, and refused on another base."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.unit.model.rows import mode_of, random_row, small_model, speech
from tests.unit.synthesis.toy import ToyBackends
from tests.unit.training.toy import make_toy_set
from valle.checkpoints.adapters import attach_adapter, hash_weights, parse_adapters, read_adapter, write_adapter
from valle.checkpoints.checkpoint import load_model, read_weights
from valle.model.adapters.lora import LoraAdapter, merge_adapter
from valle.model.adapters.options import LoraOptions
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Request, Synthesizer
from valle.training.export import export_checkpoint
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError


def logits(model, *, codebook=0, adapters=()):
    batch = speech(mode_of(codebook), [random_row(np.random.default_rng(0), codebook=codebook)])
    with torch.no_grad(), model.adapters.using(dict(adapters)):
        return model(batch)


def with_adapter(name="a", seed=1, **options):
    """A small model with an adapter whose both matrices are random."""
    model = small_model()
    torch.manual_seed(seed)
    adapter = LoraAdapter(model, LoraOptions(rank=4, **options)).eval()
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_(std=0.3)
    model.adapters.attach(model, name, adapter)
    return model, adapter


@pytest.mark.parametrize("options", [{}, {"alpha": 8.0, "embeddings": True}, {"targets": ("*.attention.inputs",)}])
def test_merged_weights_compute_what_the_adapter_adds(options):
    model, adapter = with_adapter(**options)
    plain = logits(model)
    merged = small_model()
    merged.load_state_dict(merge_adapter(small_model().state_dict(), adapter.tensors(), adapter.options, 0.5))
    adapted = logits(model, adapters={"a": 0.5})
    assert (adapted - plain).abs().max() > 0.01
    torch.testing.assert_close(adapted, logits(merged), atol=1e-5, rtol=0)
    assert torch.equal(logits(model), plain)


def test_an_adapter_of_some_codebooks_changes_their_rows_alone_even_within_a_batch():
    model, adapter = with_adapter(codebooks=(2,))
    rows = [random_row(np.random.default_rng(seed), codebook=codebook) for seed, codebook in enumerate((1, 2, 3))]
    batch = speech(mode_of(1), rows)
    with torch.no_grad():
        plain = model(batch)
        with model.adapters.using({"a": 1.0}):
            changed = (model(batch) != plain).any(-1)
    assert changed.tolist() == (batch.heads == 2).tolist()
    assert torch.equal(logits(model, adapters={"a": 1.0}), logits(model))
    with pytest.raises(ConfigurationError, match="cannot be merged"):
        merge_adapter(model.state_dict(), adapter.tensors(), adapter.options)


def test_a_misspelled_layer_is_refused():
    with pytest.raises(ConfigurationError, match=r"No linear layer has a name like 'trnk\.\*'"):
        LoraAdapter(small_model(), LoraOptions(rank=1, targets=("trnk.*",)))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A base, and the options of a run that adapts it."""
    home = tmp_path_factory.mktemp("lora")
    common = {"training_set": make_toy_set(home), "batch_tokens": 300, "prompt_seconds": (0.1, 0.2), "warmup_steps": 1}
    base = train(TrainOptions(run_dir=home / "base", model="nano", max_steps=2, **common)).checkpoint
    lora = {"rank": 4, "embeddings": True}
    return base, TrainOptions(run_dir=home / "lora", start_from=base, lora=lora, max_steps=4, log_every=1, **common)


@pytest.fixture(scope="module")
def trained(runs):
    return train(runs[1]).checkpoint


def test_a_run_trains_the_adapter_and_nothing_else(runs, trained):
    card, tensors = read_adapter(trained / "adapter.safetensors")
    assert card.base_hash == hash_weights(read_weights(runs[0]))
    assert all(tensor.abs().max() > 0 for tensor in tensors.values())
    assert sorted(path.name for path in trained.iterdir()) == [
        "adapter.safetensors",
        "checkpoint.json",
        "trainer.safetensors",
    ]
    with safe_open(trained / "trainer.safetensors", "pt") as state:
        kept = sum(state.get_tensor(name).numel() for name in state.keys())  # noqa: SIM118 - no dict
    assert kept < 4 * sum(tensor.numel() for tensor in tensors.values())
    model, _ = load_model(trained)
    assert hash_weights({n: t for n, t in model.state_dict().items() if "adapters" not in n}) == card.base_hash


def test_a_stopped_run_continues_to_the_same_bits(runs, trained, tmp_path):
    for steps in (2, 4):
        changed = {"run_dir": tmp_path / "run", "max_steps": steps, "schedule": "constant"}
        checkpoint = train(runs[1].model_copy(update=changed)).checkpoint
    whole = train(runs[1].model_copy(update={"run_dir": tmp_path / "whole", "schedule": "constant"})).checkpoint
    (_, stopped), (_, at_once) = (read_adapter(path / "adapter.safetensors") for path in (checkpoint, whole))
    assert all(torch.equal(stopped[name], at_once[name]) for name in at_once)


def test_an_exported_run_is_merged_and_speaks_the_same(runs, trained, tmp_path):
    export_checkpoint(trained, tmp_path / "merged")
    (adapted, _), (merged, _) = load_model(trained), load_model(tmp_path / "merged")
    assert not merged.adapters.loaded
    assert adapted.adapters.strengths == {"own": 1.0}
    exact = {name: tensor.half().float() for name, tensor in read_weights(trained).items()}
    torch.testing.assert_close(dict(merged.state_dict()), exact, atol=0, rtol=0)
    options = SamplingOptions(temperature=0, max_seconds=0.5)
    requests = [Request(tuple("abc"), options=options)]
    by_file, by_merge = (Synthesizer.load(path, ToyBackends()) for path in (trained, tmp_path / "merged"))
    np.testing.assert_array_equal(*(one.speak_many(requests)[0].codes for one in (by_file, by_merge)))


def test_requests_switch_adapters_and_their_strengths(runs, trained):
    file = trained / "adapter.safetensors"
    synthesizer = Synthesizer.load(runs[0], ToyBackends(), [(file, 1.0)])
    options = SamplingOptions(temperature=0, max_seconds=0.5)
    with torch.no_grad():  # four updates change no likeliest code
        for tensor in synthesizer.model.adapters.loaded["lora"].up.values():
            tensor.normal_()

    def codes(adapters):
        return synthesizer.speak_many([Request(tuple("abc"), options=options, adapters=adapters)])[0].codes.tolist()

    plain, adapted = codes({}), codes({"lora": 1.0})
    assert plain != adapted
    both = synthesizer.speak_many([Request(tuple("abc"), options=options, adapters=a) for a in ({}, None, {"lora": 0})])
    assert [speech.codes.tolist() for speech in both] == [plain, adapted, plain]
    with pytest.raises(ConfigurationError, match="There is no adapter other"):
        codes({"other": 1.0})


def test_an_adapter_is_refused_on_another_base(runs, trained, tmp_path):
    file = trained / "adapter.safetensors"
    with pytest.raises(CheckpointError, match="name its base with --checkpoint"):
        attach_adapter(load_model(runs[0])[0], file, "another", "a")
    damaged = tmp_path / "a.safetensors"
    damaged.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="no adapter of this project"):
        read_adapter(damaged)
    card, tensors = read_adapter(file)
    write_adapter(damaged, card, dict(list(tensors.items())[1:]))
    with pytest.raises(CheckpointError, match="other layers"):
        attach_adapter(load_model(runs[0])[0], damaged, card.base_hash, "a")


def test_frozen_parameters_stay_as_they_are(runs, tmp_path):
    base, options = runs
    changed = {"run_dir": tmp_path / "run", "lora": LoraOptions(), "freeze": ("trunk.*", "ids.weight")}
    before, after = read_weights(base), read_weights(train(options.model_copy(update=changed)).checkpoint)
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith("trunk.") or name == "ids.weight"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lora": {"rank": 2}, "start_from": None}, "set start_from"),
        ({"lora": {"rank": 2}, "freeze": ("trunk.*",)}, "leave out freeze"),
        ({"lora": {"rank": 2}, "engine": "deepspeed"}, "need the plain engine"),
        ({"lora": {"rank": 2, "embeddings": True, "codebooks": (1,)}}, "Tables serve rows"),
    ],
)
def test_options_that_contradict_each_other_are_refused(runs, change, message):
    with pytest.raises(ValueError, match=message):
        TrainOptions(**runs[1].model_dump() | change)


def test_a_run_cannot_change_between_adapter_and_weights(runs, trained):
    with pytest.raises(CheckpointError, match="has lora"):
        train(runs[1].model_copy(update={"lora": LoraOptions()}))
    with pytest.raises(CheckpointError, match="another model 7m"):
        train(runs[1].model_copy(update={"model": "7m"}))


def test_strengths_follow_an_equals_sign():
    assert [(str(path), strength) for path, strength in parse_adapters(["a.st", "b.st=0.5"])] == [
        ("a.st", 1.0),
        ("b.st", 0.5),
    ]
    with pytest.raises(ConfigurationError, match="must be a number"):
        parse_adapters(["a=b.st"])
