"""Checkpoints as GGUF files: there and back, and the same logits and codes by llama.cpp."""

import dataclasses

import numpy as np
import pytest
import torch

from valle.checkpoints.checkpoint import load_model, read_card
from valle.checkpoints.gguf.layout import export_problem, position_steps
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.checkpoints.saving import write_model
from valle.cli import main
from valle.llama_cpp.loading import load_llama_cpp
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition, speech_batch
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.tasks.tts import TTS
from valle.training.export import export_gguf
from warehouse.errors import CheckpointError, ConfigurationError

pytest.importorskip("gguf")
RNG = np.random.default_rng(0)
LAYOUT = TTS.layout(Mode.AR)
GREEDY = SamplingOptions(temperature=0, nar_temperature=0, max_seconds=0.8)


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    return newest_checkpoint(tmp_path_factory.mktemp("runs"), EMBEDDED)


@pytest.fixture(scope="module")
def small(english, tmp_path_factory):
    """A random checkpoint with fewer heads of keys, whose text has a stride that is no integer."""
    card = read_card(english)
    size = {"width": 64, "depth": 2, "heads": 4, "kv_heads": 2, "feed_forward": 96, "text_stride": 3.625}
    card = dataclasses.replace(card, model=card.model.model_copy(update=size))
    torch.manual_seed(0)
    checkpoint = tmp_path_factory.mktemp("small") / "step-00000001"
    write_model(checkpoint, card, ValleModel(card.model).state_dict())
    return checkpoint


@pytest.fixture(scope="module")
def pair(small):
    """The small model by torch and by llama.cpp."""
    pytest.importorskip("xllamacpp")
    return load_model(small)[0], load_llama_cpp(small)[0]


def _conditions(lengths):
    return [
        Condition(
            RNG.integers(4, 190, size=symbols),
            1,
            RNG.integers(0, 1024, size=(8, frames)).astype(np.int16),
            np.zeros((8, 0), dtype=np.int16),
        )
        for symbols, frames in lengths
    ]


def _batch(model, mode, conditions, frames, codebook=0):
    codes = [RNG.integers(0, 1024, size=(max(codebook, 1), n)).astype(np.int16) for n in frames]
    rows = [condition.row(codebook, target) for condition, target in zip(conditions, codes, strict=True)]
    return speech_batch(model, TTS, mode, rows)


@torch.inference_mode()
def _largest(models, batch):
    ours, theirs = (model(batch) for model in models)
    return float((ours - theirs).abs().max())


def test_rows_of_ar_and_nar_have_our_logits_with_fractional_positions(pair):
    conditions = _conditions([(9, 40), (21, 13)])
    assert position_steps(pair[0].config) == 8
    assert _largest(pair, _batch(pair[0], Mode.AR, conditions, (30, 5))) < 1e-3
    assert _largest(pair, _batch(pair[0], Mode.NAR, conditions, (30, 5), codebook=3)) < 1e-3


@torch.inference_mode()
def test_the_memory_of_rows_is_that_of_our_cache(pair):
    caches = [model.new_cache(0) for model in pair]
    batch = _batch(pair[0], Mode.AR, _conditions([(9, 40), (21, 13), (5, 6)]), (0, 0, 0))
    for model, cache in zip(pair, caches, strict=True):
        model.prefill(batch, cache)

    def step(indices):
        codes = torch.from_numpy(RNG.integers(0, 1024, size=(len(indices), 1)))
        logits = [m.step(LAYOUT, codes, torch.tensor(indices), c) for m, c in zip(pair, caches, strict=True)]
        assert (logits[0] - logits[1]).abs().max() < 1e-3
        assert torch.equal(caches[0].lengths, caches[1].lengths)

    step([0, 0, 0])
    for cache in caches:
        cache.keep(torch.tensor([2, 0, 2]))  # one row leaves, one is doubled
    step([1, 1, 1])
    for cache in caches:
        cache.shorten(torch.tensor([1, 0, 2]))
    step([1, 2, 0])
    # Longer than the first memory: it grows, and the rows move.
    later = [model.new_cache(0) for model in pair]
    batch = _batch(pair[0], Mode.AR, _conditions([(30, 600)]), (700,))
    for model, cache in zip(pair, later, strict=True):
        model.prefill(batch, cache)
    for cache, other in zip(caches, later, strict=True):
        cache.join(other)
    step([2, 3, 1, 700])


@pytest.mark.parametrize(("mode", "codebook"), [(Mode.AR, 0), (Mode.NAR, 3)])
def test_logits_of_the_embedded_checkpoint_in_f16_are_ours_on_any_codes(english, tmp_path, mode, codebook):
    # Codes drawn at random have small vectors, whose norms depend on the epsilon.
    pytest.importorskip("xllamacpp")
    file = tmp_path / "english.gguf"
    export_gguf(english, file, "f16")
    models = load_model(file)[0], load_llama_cpp(file)[0]
    assert _largest(models, _batch(models[0], mode, _conditions([(40, 120), (21, 13)]), (200, 5), codebook)) < 1e-3


def test_greedy_codes_of_the_embedded_checkpoint_are_those_of_torch(english):
    pytest.importorskip("xllamacpp")
    model, card = load_model(english)
    symbols = np.array(card.phoneme_table.encode([*"sˈɛvən bˈoʊts kˈeɪm bˈæk."]))
    prompt = RNG.integers(0, 1024, size=(8, 30)).astype(np.int16)
    condition = Condition(symbols, 1, prompt, np.zeros((8, 0), dtype=np.int16))
    spoken = [decode(one, [condition], [GREEDY])[0].codes for one in (model, load_llama_cpp(english)[0])]
    assert spoken[0].shape[1] > 30
    assert np.array_equal(*spoken)


@pytest.mark.parametrize(("kind", "tolerance"), [("f32", 0), ("f16", 0), ("q8_0", 0.02), ("q4_0", 0.3)])
def test_a_file_has_the_weights_and_the_card(small, tmp_path, kind, tolerance):
    out = tmp_path / "small.gguf"
    size = export_gguf(small, out, kind)
    assert size == out.stat().st_size
    (model, card), (again, its_card) = load_model(small), load_model(out)
    assert (card.model, card.codec, card.phoneme_symbols) == (its_card.model, its_card.codec, its_card.phoneme_symbols)
    half = kind != "f32"
    for name, tensor in model.state_dict().items():
        expected = tensor.half().float() if half else tensor
        limit = tolerance * float(tensor.abs().max()) if name.startswith("trunk.") else 0
        assert (again.state_dict()[name] - expected).abs().max() <= limit, name


def test_llama_cpp_reads_blocks_of_integers(small, tmp_path):
    pytest.importorskip("xllamacpp")
    batch = _batch(load_model(small)[0], Mode.AR, _conditions([(9, 40)]), (10,))
    for kind, computed, tolerance in (
        ("f16", "f32", 1e-3),
        # llama.cpp rounds the vectors too, to the precision of the weights.
        ("f16", "f16", 0.02),
        ("q8_0", "f32", 0.2),
        ("q4_0", "f32", 0.3),
    ):
        file = tmp_path / f"{kind}.gguf"
        if not file.exists():
            export_gguf(small, file, kind)
        models = load_model(file)[0], load_llama_cpp(file, computed)[0]
        assert _largest(models, batch) < tolerance, kind


def test_an_exported_file_speaks_by_either_runtime(tmp_path, capsys):
    pytest.importorskip("xllamacpp")
    file = tmp_path / "english.gguf"
    assert main(["export", "--run", EMBEDDED, "--format", "gguf", "--weights", "f32", "--out", str(file)]) == 0
    options = ["--sampling.temperature", "0", "--sampling.max-seconds", "0.5", "--data", str(tmp_path)]
    for runtime in ("torch", "llama.cpp"):
        codes = ["--codes", str(tmp_path / f"{runtime}.npy"), "--out", str(tmp_path / f"{runtime}.wav")]
        main(["speak", "Yes.", "--checkpoint", str(file), "--runtime", runtime, *codes, *options])
    assert np.array_equal(np.load(tmp_path / "torch.npy"), np.load(tmp_path / "llama.cpp.npy"))
    assert main(["speak", "Yes.", "--runtime", "llama.cpp", "--precision", "bf16", *options]) == 1
    assert main(["speak", "Yes.", "--runtime", "llama.cpp", "--precision", "int8", *options]) == 1
    assert "in fp32 or fp16" in capsys.readouterr().err


def test_what_llama_cpp_cannot_compute_is_one_sentence(small, tmp_path):
    config = read_card(small).model
    assert export_problem(config, "q4_0") is None
    for change, kind, words in (
        ({"trunk": "mamba"}, "f16", "trunk mamba"),
        ({"activation": "gelu"}, "f16", "gelu"),
        ({"width": 72}, "q8_0", "f16"),
        ({"max_context": 20}, "f16", "bounded context"),
    ):
        problem = export_problem(config.model_copy(update=change), kind)
        assert problem is not None
        assert words in problem
    card = dataclasses.replace(read_card(small), model=config.model_copy(update={"activation": "gelu"}))
    write_model(tmp_path / "gelu", card, load_model(small)[0].state_dict())
    with pytest.raises(ConfigurationError, match="gelu"):
        export_gguf(tmp_path / "gelu", tmp_path / "gelu.gguf", "f16")
    assert not (tmp_path / "gelu.gguf").exists()


def test_a_damaged_file_is_told(small, tmp_path):
    out = tmp_path / "small.gguf"
    export_gguf(small, out, "f16")
    for content in (out.read_bytes()[:5000], b"GGUF", b""):
        (tmp_path / "half.gguf").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"half\.gguf"):
            load_model(tmp_path / "half.gguf")
