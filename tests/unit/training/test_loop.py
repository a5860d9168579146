import dataclasses
import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.toy import FRAMES_PER_SYMBOL, SPEC, make_toy_set
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import list_checkpoints
from valle.codec import open_codec
from valle.codec.base import CodecSpec
from valle.data.selection.training_set import load_training_set
from valle.training.commands import FileCommands
from valle.training.engines.engine import PlainEngine
from valle.training.initialization import trained_symbols
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError, TrainingError

ENGINES = ["plain", "deepspeed"]


def changed(options, **changes):
    return TrainOptions.model_validate(options.model_dump() | changes)


class Typed:
    """Somebody who types a word once the run has been asked `after` times."""

    def __init__(self, word, after):
        self.word, self.after = word, after

    def poll(self):
        self.after -= 1
        return [self.word] if self.after == 0 else []


def weights(result):
    return load_file(result.checkpoint / "model.safetensors")


def lines(options):
    return [json.loads(line) for line in (options.run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_was_stopped_and_continued_ends_with_the_same_bits(options, tmp_path, engine):
    options = changed(options, engine=engine, dropout=0.2, accumulate=2)
    straight = train(options)
    again = changed(options, run_dir=tmp_path / "again")
    stopped = train(again, commands=Typed("quit", 4))
    assert (stopped.step, stopped.reason) == (3, "quit")
    resumed = train(again)
    assert (resumed.step, resumed.reason) == (6, "finished")
    first, second = weights(straight), weights(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    timeless = ["loss", "loss_ar", "loss_nar", "learning_rate", "gradient_norm", "padding", "epoch"]
    for left, right in zip(lines(options), lines(again), strict=True):
        assert {name: left.get(name) for name in timeless} == {name: right.get(name) for name in timeless}
    assert not all(torch.equal(first[name], weights(stopped)[name]) for name in first)


def test_both_engines_and_all_zero_stages_compute_the_same_losses(options, tmp_path):
    expected = None
    for engine, stage in [("plain", 0), ("deepspeed", 0), ("deepspeed", 1), ("deepspeed", 2), ("deepspeed", 3)]:
        run_dir = tmp_path / f"{engine}{stage}"
        train(changed(options, engine=engine, zero_stage=stage, accumulate=2, run_dir=run_dir))
        losses = [line["loss"] for line in lines(changed(options, run_dir=run_dir)) if "loss" in line]
        expected = expected or losses
        assert losses == pytest.approx(expected, abs=1e-4), (engine, stage)


def test_the_loss_falls_and_the_metrics_say_how_fast(options):
    result = train(changed(options, max_steps=60, learning_rate=5e-3, batch_tokens=600))
    logged = [line for line in lines(options) if "loss" in line]
    assert [line["step"] for line in logged] == list(range(1, 61))
    start, end = logged[:5], logged[-5:]
    assert sum(line["loss"] for line in end) < 0.6 * sum(line["loss"] for line in start)
    assert logged[-1]["tokens_per_second"] > 0
    assert logged[-1]["eta"] == 0
    assert 0 <= logged[-1]["padding"] < 0.5
    assert set(logged[-1]["top10_nar_by_codebook"]) <= {str(level) for level in range(1, SPEC.num_codebooks)}
    assert result.metrics["dev_loss"] == lines(options)[-1]["dev_loss"]


def test_every_evaluation_sees_the_same_rows(options, tmp_path):
    first = train(changed(options, max_steps=1, learning_rate=1e-12)).metrics
    second = train(changed(options, max_steps=4, learning_rate=1e-12, run_dir=tmp_path / "b")).metrics
    assert first["dev_loss"] == pytest.approx(second["dev_loss"], abs=1e-4)


def test_only_the_newest_checkpoints_are_kept(options):
    train(changed(options, save_every=1, keep_checkpoints=2))
    assert [read_card(path).step for path in list_checkpoints(options.run_dir)] == [5, 6]


def test_a_checkpoint_that_was_being_written_when_the_run_died_is_ignored(options):
    train(changed(options, max_steps=2))
    broken = options.run_dir / "checkpoints" / ".step-00000009.tmp"
    broken.mkdir()
    (broken / "checkpoint.json").write_text("{")
    with (options.run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    assert train(options).step == 6
    assert [line["step"] for line in lines(options) if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_typing_save_saves_and_goes_on(options):
    result = train(options, commands=Typed("save", 3))
    assert [read_card(path).step for path in list_checkpoints(options.run_dir)] == [2, 6]
    assert result.reason == "finished"


def test_a_run_evaluates_exports_and_changes_its_learning_rate_when_a_file_asks_for_it(options, caplog):
    options.run_dir.mkdir(parents=True, exist_ok=True)
    (options.run_dir / "commands").write_text("eval\nexport\nlr 5e-5\nlr many\n")
    before = changed(options, max_steps=2, evaluate_every=2, log_every=1, warmup_steps=1)
    result = train(before, commands=FileCommands(options.run_dir / "commands"))
    written = lines(before)
    assert next(line["step"] for line in written if "dev_loss" in line) == 0
    assert max(line["learning_rate"] for line in written if "learning_rate" in line) == pytest.approx(5e-5)
    [exported] = (options.run_dir / "exports").iterdir()
    assert read_card(exported).step == 0
    assert read_card(result.checkpoint).options["learning_rate"] == 5e-5
    assert "There is no command 'lr many'" in caplog.text
    assert not list(options.run_dir.glob("*commands*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_and_leaves_the_handlers_as_they_were(options, number):
    before = signal.getsignal(number)

    def on_step(line):
        if line["step"] == 3:
            os.kill(os.getpid(), number)

    result = train(options, on_step)
    assert (result.step, result.reason) == (3, "signal")
    assert read_card(result.checkpoint).step == 3
    assert signal.getsignal(number) is before


def test_a_run_ends_when_its_time_is_over(options):
    result = train(changed(options, max_steps=100_000, max_seconds=0.5))
    assert result.reason == "time"
    assert 0 < result.step < 100_000
    assert read_card(result.checkpoint).step == result.step


def test_a_checkpoint_says_all_it_takes_to_speak(options):
    card = read_card(train(options).checkpoint)
    assert card.codec == SPEC
    assert card.training_set == "toy-1"
    assert card.phoneme_symbols[:4] == ("<unk>", "<bos>", "<eos>", "<mask>")
    assert card.model.languages == ("<unk>", "en")
    assert card.model.text_stride == FRAMES_PER_SYMBOL
    assert TrainOptions.model_validate(card.options) == options
    assert card.trained_symbols == tuple("abcdefgh") == load_training_set(options.training_set).card.used_symbols
    assert (card.checkpoint_id, card.metrics["step"]) == ("run-6", 6)


def test_a_new_run_can_start_from_the_weights_of_another_with_its_own_dropout(options, tmp_path):
    first = train(options)
    started = changed(options, run_dir=tmp_path / "b", start_from=first.checkpoint, max_steps=1, learning_rate=1e-12)
    second = train(started.model_copy(update={"dropout": 0.3}))
    assert read_card(second.checkpoint).model.dropout == 0.3 != read_card(first.checkpoint).model.dropout
    for name, tensor in weights(second).items():
        torch.testing.assert_close(tensor, weights(first)[name], atol=1e-6, rtol=0)


def test_the_phonemes_of_a_checkpoint_are_those_of_all_its_training_or_unknown(options, tmp_path):
    checkpoint = tmp_path / "before"
    shutil.copytree(train(options).checkpoint, checkpoint)
    training_set = load_training_set(options.training_set)
    for before, expected in ((["ʒ"], (*"abcdefgh", "ʒ")), ([], ())):
        card = json.loads((checkpoint / "checkpoint.json").read_text()) | {"trained_symbols": before}
        (checkpoint / "checkpoint.json").write_text(json.dumps(card))
        assert trained_symbols(training_set, checkpoint) == expected
    old = dataclasses.replace(training_set, card=dataclasses.replace(training_set.card, used_symbols=()))
    assert trained_symbols(old, None) == ()


def test_codes_can_begin_as_what_they_sound_like(options, tmp_path):
    codec = open_codec("mini")
    home = make_toy_set(tmp_path / "mini", num_items=8, spec=codec.spec)
    started = changed(options, training_set=home, init_code_embeddings="codec", max_steps=1, learning_rate=1e-12)
    result = train(started)
    vectors = codec.codebooks[0] - codec.codebooks[0].mean(0)
    near = np.argsort(np.linalg.norm(vectors - vectors[7], axis=1))
    table = weights(result)["prompt_codes.weight"][:1024]
    alike = torch.cosine_similarity(table[7], table[near])
    assert alike[1:9].mean() > alike[-500:].mean() + 0.2
    assert weights(train(started)).keys() == weights(result).keys()  # a run that goes on needs no codec again


def test_codes_of_another_revision_than_the_installed_one_cannot_begin_so(options, tmp_path):
    spec = dataclasses.replace(open_codec("mini").spec, revision="other")
    home = make_toy_set(tmp_path / "other", num_items=8, spec=spec)
    with pytest.raises(TrainingError, match="set init_code_embeddings to random"):
        train(changed(options, training_set=home, init_code_embeddings="codec"))


def test_a_run_that_starts_from_another_keeps_its_pace_on_another_set(options, tmp_path):
    first = train(changed(options, max_steps=1))
    slower = make_toy_set(tmp_path / "slower", frames_per_symbol=3)
    second = changed(options, training_set=slower, run_dir=tmp_path / "b", start_from=first.checkpoint, max_steps=2)
    assert train(changed(second, max_steps=1)).step == 1
    assert read_card(train(second).checkpoint).model.text_stride == FRAMES_PER_SYMBOL
    assert read_card(train(changed(second, start_from=None, run_dir=tmp_path / "c")).checkpoint).model.text_stride == 3


def test_a_run_directory_of_another_model_or_codec_is_refused(options, tmp_path):
    train(options)
    with pytest.raises(CheckpointError, match="model of checkpoint"):
        train(changed(options, model="tiny"))
    with pytest.raises(CheckpointError, match="has engine plain, not deepspeed"):
        train(changed(options, engine="deepspeed"))
    other = make_toy_set(tmp_path / "other", spec=CodecSpec("toy", "2", 800, 16, 8, 32))
    with pytest.raises(CheckpointError, match="codec of checkpoint"):
        train(changed(options, training_set=other))


def test_an_empty_set_is_one_sentence(options, tmp_path):
    empty = make_toy_set(tmp_path / "empty", num_items=3, dev_items=3)
    with pytest.raises(TrainingError, match=r"toy-1 has no utterance in `train`"):
        train(changed(options, training_set=empty))
    with pytest.raises(TrainingError, match="no training set in"):
        train(changed(options, training_set=tmp_path))


def test_codes_that_are_larger_than_the_codec_says_are_one_sentence(options, tmp_path):
    small = make_toy_set(tmp_path / "small", spec=CodecSpec("toy", "1", 800, 16, 8, 8))
    with pytest.raises(TrainingError, match="has codes outside 0 to 7"):
        train(changed(options, training_set=small))


def test_a_batch_that_does_not_fit_is_named_and_what_there_is_is_saved(options, monkeypatch):
    accumulate, steps = PlainEngine.accumulate, []

    def exhausted(engine, batch, divisor):
        steps.append(batch)
        if len(steps) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return accumulate(engine, batch, divisor)

    monkeypatch.setattr(PlainEngine, "accumulate", exhausted)
    with pytest.raises(
        TrainingError, match=r"Out of memory in step 3: \d+ rows of \S+ padded to \d+ slots; lower batch"
    ):
        train(options)
    assert read_card(list_checkpoints(options.run_dir)[-1]).step == 2
    assert train(options).step == options.max_steps


def test_an_unknown_size_is_refused(options):
    with pytest.raises(ConfigurationError, match="Unknown model size 'giant'"):
        train(changed(options, model="giant"))


def test_a_learning_rate_that_explodes_is_one_sentence(options):
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(changed(options, learning_rate=100.0, warmup_steps=0, max_steps=50))
