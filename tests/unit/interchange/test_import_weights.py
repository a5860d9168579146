"""Imported weights compute what an independent forward pass computes, and become a run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.unit.interchange.finetuning import finetune
from tests.unit.interchange.vall_e_files import CODEBOOKS, SIZE, Weights, symbol_map
from valle.checkpoints.checkpoint import load_model
from valle.checkpoints.runs import newest_checkpoint
from valle.cli import main
from valle.codec.base import CodecSpec
from valle.interchange.verify.modes import compute
from valle.interchange.weights.description import Era
from valle.interchange.weights.era import RecordedSentence
from valle.interchange.weights.importing import convert, open_weights, save_import
from valle.model.layout import SPEECH, Mode
from valle.model.row import Row
from valle.tasks.length import LENGTH
from valle.tasks.transcription import TRANSCRIPTION
from valle.tasks.tts import TTS
from warehouse.errors import CheckpointError

CODEC = CodecSpec("mini", "1", 24_000, 320, CODEBOOKS, SIZE)
RNG = np.random.default_rng(3)
TEXT = np.array([1, 5, 9, 33, 2])
PROMPT = RNG.integers(0, SIZE, (4, CODEBOOKS))
TARGET = RNG.integers(0, SIZE, (6, CODEBOOKS))
MASKED = np.array([True, True, False, True, False, True])
ERAS = [Era.UNTIL_2025_03, Era.SINCE_2025_03]


def imported(tmp_path, weights, era=Era.SINCE_2025_03, **options):
    return convert(open_weights(weights.write(tmp_path / "model.sft"), **options), CODEC, era)


def fields(**changed):
    return {"text": TEXT, "language": np.array([2]), "prompt": PROMPT.T, "target": TARGET.T} | changed


def condition(weights, level, prompt_codebooks):
    return [
        weights.table("text_emb", TEXT),
        weights.table("langs_emb", [2]),
        weights.table("rvq_l_emb", [level]),
        weights.prompt(PROMPT, prompt_codebooks),
    ]


def assert_equal(model, layout, row, expected):
    ours = compute(model, layout, [row])[0]
    torch.testing.assert_close(torch.from_numpy(ours), expected[-len(ours) :], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("is_causal_nar", [False, True])
@pytest.mark.parametrize("restarts", [True, False])
def test_ar_and_nar_len_compute_the_same(tmp_path, restarts, is_causal_nar):
    weights = Weights(experimental={"unified_position_ids": not restarts, "noncausal_masks": not is_causal_nar})
    model = imported(tmp_path, weights).build()
    target = weights.response(TARGET, [(0, 0)])
    expected = weights.logits([*condition(weights, 0, [0]), target], 0, is_causal=True, restarts=restarts)
    assert_equal(model, TTS.layout(Mode.AR), Row(0, fields()), expected)

    hidden = TARGET.copy()
    hidden[MASKED, 0] = SIZE
    masked = weights.response(hidden, [(0, CODEBOOKS)])
    expected = weights.logits([*condition(weights, 0, [0]), masked], 8, is_causal=is_causal_nar, restarts=restarts)
    assert_equal(model, TTS.layout(Mode.NAR_LEN), Row(0, fields(), MASKED), expected)


@pytest.mark.parametrize("level", [1, 2, 7])
@pytest.mark.parametrize("sums", [True, False, "prom", "resp"])
@pytest.mark.parametrize("era", ERAS)
def test_each_level_sums_the_codebooks_of_its_era(tmp_path, era, sums, level):
    weights = Weights(experimental={"audio_embedding_sums": sums}, seed=1)
    model = imported(tmp_path, weights, era).build()
    missing = 1 if era is Era.UNTIL_2025_03 and level > 1 else 0
    summed, nearest = range(level - missing), [level - 1]
    prompt = summed if sums in (True, "prom") else nearest
    lower = summed if sums in (True, "resp") else nearest
    segments = [*condition(weights, level, prompt), weights.response(TARGET, [(k, k + 1) for k in lower])]
    row = Row(level, fields(target=TARGET.T[:level]))
    assert_equal(model, TTS.layout(Mode.NAR), row, weights.logits(segments, level, is_causal=False))


def test_levels_of_a_batch_do_not_mix(tmp_path):
    weights = Weights(experimental={"audio_embedding_sums": False})
    model = imported(tmp_path, weights).build()
    rows = [Row(level, fields(target=TARGET.T[:level])) for level in (1, 5, 3)]
    batched = compute(model, TTS.layout(Mode.NAR), rows)
    for row, logits in zip(rows, batched, strict=True):
        np.testing.assert_allclose(logits, compute(model, TTS.layout(Mode.NAR), [row])[0], atol=1e-4)


@pytest.mark.parametrize("era", ERAS)
def test_transcripts_sum_the_tables_of_their_era(tmp_path, era):
    weights = Weights()
    model = imported(tmp_path, weights, era).build()
    tables = [(0, 0)]
    if era is Era.SINCE_2025_03:
        tables += [(k, k + 1) for k in range(1, CODEBOOKS - 1)]
    else:
        tables += [(k, k + 1) for last in range(1, CODEBOOKS - 1) for k in range(last)]
    known = TEXT[:3]
    segments = [
        weights.response(TARGET, tables),
        weights.table("langs_emb", [2]),
        weights.table("rvq_l_emb", [0]),
        weights.table("text_emb", known),
    ]
    row = Row(0, {SPEECH.name: TARGET.T, "language": np.array([2]), "text": known[1:]})
    assert_equal(model, TRANSCRIPTION.layout, row, weights.logits(segments, 9, is_causal=True))


def test_lengths_begin_with_a_zero_and_absent_text_is_its_two_ends(tmp_path):
    weights = Weights()
    model = imported(tmp_path, weights).build()
    segments = [*condition(weights, 0, [0]), weights.table("len_emb", [0, 1, 7])]
    row = Row(0, {name: value for name, value in fields(digits=np.array([1, 7])).items() if name != "target"})
    assert_equal(model, LENGTH.digit_by_digit, row, weights.logits(segments, 10, is_causal=True))

    null = [weights.table("text_emb", [1, 2]), *condition(weights, 0, [0])[1:3], weights.response(TARGET, [(0, 0)])]
    row = Row(0, {"language": np.array([2]), "target": TARGET.T})
    assert_equal(model, TTS.layout(Mode.AR), row, weights.logits(null, 0, is_causal=True))


@pytest.mark.parametrize("is_parametrized", [False, True])
def test_an_adapter_is_added_to_the_weights(tmp_path, is_parametrized):
    weights = Weights()
    base = "model.layers.1.mlp.gate_proj"
    kind = f"{base}.parametrizations.weight.0" if is_parametrized else base
    out, width = weights.tensors[f"{base}.weight"].shape
    first, second = (
        (torch.randn(2, out), torch.randn(width, 2))
        if is_parametrized
        else (
            torch.randn(2, width),
            torch.randn(out, 2),
        )
    )
    adapter = tmp_path / "lora.sft"
    config = {"config": json.dumps({"rank": 2, "alpha": 6, "parametrize": is_parametrized})}
    save_file({f"{kind}.lora_A": first, f"{kind}.lora_B": second}, adapter, config)
    merged = open_weights(weights.write(tmp_path / "model.sft"), adapters=[adapter])
    change = merged.tensors[f"{base}.weight"] - weights.tensors[f"{base}.weight"]
    torch.testing.assert_close(change, 3 * (second @ first).reshape(out, width))


def test_an_adapter_of_a_run_computes_what_the_merged_weights_do(tmp_path, capsys):
    weights = Weights(width=24, heads=3)
    file, data = weights.write(tmp_path / "model.sft"), ["--data", str(tmp_path / "data")]
    tensors = {}
    for layer in range(weights.layers):
        for part in ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"):
            name = f"model.layers.{layer}.{part}"
            outputs, inputs = weights.tensors[f"{name}.weight"].shape
            tensors |= {f"{name}.lora_A": torch.randn(2, inputs) / 9, f"{name}.lora_B": torch.randn(outputs, 2) / 9}
    adapter, out = tmp_path / "voice.sft", tmp_path / "voice.safetensors"
    save_file(tensors, adapter, {"config": json.dumps({"rank": 2, "alpha": 6})})
    assert main(["import", "weights", str(file), "--name", "theirs", "--codec", "mini", *data]) == 0
    assert main(["import", "adapter", str(adapter), "--run", "theirs", "--out", str(out), *data]) == 0
    model, _ = load_model(newest_checkpoint(tmp_path / "data" / "runs", "theirs"), {"voice": out})
    merged = convert(open_weights(file, adapters=[adapter]), CODEC, Era.UNTIL_2025_03).build()
    for level, mode in ((0, Mode.AR), (3, Mode.NAR)):
        row = Row(level, fields(target=TARGET.T[: level or 8]))
        plain = compute(model, TTS.layout(mode), [row])[0]
        with model.adapters.using({"voice": 1.0}):
            adapted = compute(model, TTS.layout(mode), [row])[0]
        expected = compute(merged, TTS.layout(mode), [row])[0]
        np.testing.assert_allclose(adapted, expected, atol=1e-4)
        assert np.abs(adapted - plain).max() > 0.1
    speech = ["--run", "theirs", "--out", str(tmp_path / "speech.wav"), "--sampling.max-seconds", "0.2", *data]
    main(["speak", "a cab", "--lora", f"{out}=0.5", *speech])
    assert (tmp_path / "speech.wav").stat().st_size > 44
    parametrized = {name.replace("_proj.", "_proj.parametrizations.weight.0."): one for name, one in tensors.items()}
    save_file(parametrized, adapter, {"config": json.dumps({"rank": 2})})
    assert main(["import", "adapter", str(adapter), "--run", "theirs", "--out", f"{out}.2", *data]) == 1
    assert "import weights --lora" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "heads", "layers", "seed"), [(32, 1, 1, 5), (48, 6, 3, 6), (64, 4, 1, 7)])
@pytest.mark.parametrize("era", ERAS)
def test_weights_of_other_sizes_compute_the_same(tmp_path, width, heads, layers, seed, era):
    weights = Weights(width=width, heads=heads, layers=layers, seed=seed)
    model = imported(tmp_path, weights, era).build()
    target = weights.response(TARGET, [(0, 0)])
    expected = weights.logits([*condition(weights, 0, [0]), target], 0, is_causal=True)
    assert_equal(model, TTS.layout(Mode.AR), Row(0, fields()), expected)
    below = range(4 if era is Era.SINCE_2025_03 else 3)
    segments = [*condition(weights, 4, below), weights.response(TARGET, [(k, k + 1) for k in below])]
    row = Row(4, fields(target=TARGET.T[:4]))
    assert_equal(model, TTS.layout(Mode.NAR), row, weights.logits(segments, 4, is_causal=False))


@pytest.mark.parametrize("codebooks", [1, 4, 9])
def test_weights_of_other_numbers_of_codebooks_compute_the_same(tmp_path, codebooks):
    weights, codec = Weights(codebooks=codebooks, seed=8), replace(CODEC, num_codebooks=codebooks)
    model = convert(open_weights(weights.write(tmp_path / "model.sft")), codec, Era.SINCE_2025_03).build()
    target = RNG.integers(0, SIZE, (6, codebooks))
    prompt = RNG.integers(0, SIZE, (4, codebooks))
    given = fields(prompt=prompt.T, target=target.T)

    def condition_of(level, below):
        return [*condition(weights, level, [0])[:3], weights.prompt(prompt, below)]

    segments = [*condition_of(0, [0]), weights.response(target, [(0, 0)])]
    assert_equal(model, TTS.layout(Mode.AR), Row(0, given), weights.logits(segments, 0, is_causal=True))
    hidden = np.where(MASKED[:, None], SIZE, target)
    segments = [*condition_of(0, [0]), weights.response(hidden, [(0, codebooks)])]
    expected = weights.logits(segments, codebooks, is_causal=False)
    assert_equal(model, TTS.layout(Mode.NAR_LEN), Row(0, given, MASKED), expected)
    for level in range(1, codebooks):
        lower = weights.response(target, [(k, k + 1) for k in range(level)])
        expected = weights.logits([*condition_of(level, range(level)), lower], level, is_causal=False)
        assert_equal(model, TTS.layout(Mode.NAR), Row(level, given | {"target": target.T[:level]}), expected)


def test_one_file_of_everything_speaks_alone(tmp_path):
    file, data = Weights().write(tmp_path / "model.sft"), ["--data", str(tmp_path / "data")]
    assert main(["import", "weights", str(file), "--name", "theirs", "--codec", "mini", *data]) == 0
    exported = tmp_path / "elsewhere" / "theirs.sft"
    assert main(["export", "--run", "theirs", "--format", "sft", "--out", str(exported), *data]) == 0
    shutil.rmtree(tmp_path / "data")
    codes = tmp_path / "codes.npy"
    options = ["--sampling.max-seconds", "0.2", "--sampling.seed", "3", "--codes", str(codes), *data]
    main(["speak", "a cab", "--checkpoint", str(exported), "--out", str(tmp_path / "speech.wav"), *options])
    assert np.load(codes).shape == (CODEBOOKS, 15)
    assert (tmp_path / "speech.wav").stat().st_size > 44


def test_a_sentence_chooses_the_era(tmp_path):
    """The codes are what a model of that era finds likeliest, so its loss is the smaller one."""
    weights = Weights(seed=4)
    file = open_weights(weights.write(tmp_path / "model.sft"))
    for era in ERAS:
        model = convert(file, CODEC, era).build()
        codes = TARGET.T.copy()
        prompt, target = codes[:, :3], codes[:, 3:]
        for level in range(2, CODEBOOKS):
            row = TTS.row(TEXT, 2, level, prompt, target[:level])
            target[level] = compute(model, TTS.layout(Mode.NAR), [row])[0].argmax(-1)
        chosen = convert(file, CODEC, Era.AUTO, RecordedSentence(TEXT, 2, np.concatenate([prompt, target], 1)))
        assert chosen.era.era is era
        assert "loss" in chosen.era.reason


def test_an_import_is_a_run_that_computes_the_same(tmp_path):
    model = imported(tmp_path, Weights())
    checkpoint = save_import(model, CODEC, tmp_path / "runs" / "theirs", "theirs")
    assert checkpoint.name == "step-00000007"
    loaded, card = load_model(checkpoint)
    rows = [Row(0, fields())]
    ours, again = (compute(one, TTS.layout(Mode.AR), rows)[0] for one in (model.build(), loaded))
    assert np.array_equal(ours, again)
    strings = symbol_map()
    # An alias is the same integer, so it merges as well.
    assert card.phoneme_table.encode(["a", "b", "c", "A", "b", "#"]) == [1, strings["abc"], strings["ab"], 0, 2]
    with pytest.raises(CheckpointError, match="exists"):
        save_import(model, CODEC, tmp_path / "runs" / "theirs", "theirs")


def test_yaml_beside_replaces_metadata_and_pickles_hold_tensors_only(tmp_path):
    import yaml

    weights = Weights()
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"models": [weights.config]}))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        open_weights(weights.write(tmp_path / "model.sft", metadata=False))
    path = tmp_path / "model.pth"
    torch.save({"module": weights.tensors, "userdata": {"symmap": symbol_map()}, "stats": {"global_step": 3}}, path)
    assert convert(open_weights(path), CODEC, Era.AUTO).file.step == 3
    torch.save({"module": Weights}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_weights(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 7}, "version 7"),
        ({"arch_type": "mamba2"}, "mamba2"),
        ({"experimental": {"split_classifiers": False}}, "one output head"),
        ({"capabilities": ["ar", "tone"]}, "tone"),
    ],
)
def test_weights_that_cannot_be_computed_are_refused(tmp_path, change, message):
    weights = Weights()
    weights.config |= change
    with pytest.raises(CheckpointError, match=message):
        imported(tmp_path, weights)


def test_a_missing_tensor_is_named(tmp_path):
    weights = Weights()
    del weights.tensors["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.up_proj"):
        imported(tmp_path, weights)


def test_the_commands_import_and_speak(tmp_path, capsys):
    file = Weights().write(tmp_path / "model.sft")
    data = ["--data", str(tmp_path / "data")]
    assert main(["import", "weights", str(file), "--name", "theirs", "--codec", "mini", *data]) == 0
    assert "until-2025-03: as published weights" in capsys.readouterr().out
    out = tmp_path / "speech.wav"
    sampling = ["--sampling.max-seconds", "0.5", "--sampling.seed", "3"]
    assert main(["speak", "a cab", "--run", "theirs", "--out", str(out), *sampling, *data]) == 0
    assert out.stat().st_size > 44
    assert main(["import", "weights", str(file), "--name", "theirs", "--codec", "mini", *data]) == 1
    assert main(["import", "weights", str(file), "--name", "other", "--era", "2024", *data]) == 1
    assert "until-2025-03" in capsys.readouterr().err


def test_a_training_continues_from_imported_weights(tmp_path):
    model = imported(tmp_path, Weights())
    checkpoint = save_import(model, CODEC, tmp_path / "runs" / "theirs", "theirs")
    result = finetune(checkpoint, CODEC, tmp_path)
    loaded, card = load_model(result.checkpoint)
    assert loaded.config == model.config
    assert card.phoneme_table.strings == model.table.strings
    assert card.phoneme_table.decode([1, 4, 33, 5, 2]) == [" ", "ab", "A"]
