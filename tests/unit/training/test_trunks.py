"""Every trunk overfits two examples, trains in a run, and decodes what it learned."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, small_config
from tests.unit.synthesis.toy import ToyBackends
from tests.unit.training.toy import SPEC, codes_for, make_toy_set
from valle.checkpoints.checkpoint import load_model
from valle.model.adapters.options import LoraOptions
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.loss import model_loss
from valle.model.trunks.registry import TRUNKS
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Prompt, Synthesizer
from valle.tasks.tts import TTS
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError


def experts_of(trunk):
    return 4 if trunk == "mixtral" else 0


def overfit(trunk, conditions, targets, steps=150):
    """Train a tiny model on codebooks 0 and 1 of the targets until it predicts them."""
    torch.manual_seed(0)
    config = small_config(trunk=trunk, experts=experts_of(trunk), width=48)
    model = ValleModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    batches = [
        make_batch(
            TTS.layout(mode),
            [c.row(codebook, t[: codebook + 1]) for c, t in zip(conditions, targets, strict=True)],
            config,
        )
        for mode, codebook in ((Mode.AR, 0), (Mode.NAR, 1))
    ]
    for step in range(steps):
        report = model_loss(model, batches[step % 2])
        (report.total / batches[step % 2].num_labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.mark.parametrize("trunk", TRUNKS)
def test_two_examples_are_overfitted_and_decoded(trunk):
    rng = np.random.default_rng(0)
    targets = [rng.integers(0, STOP, (8, frames)).astype(np.int16) for frames in (7, 10)]
    conditions = [Condition(rng.integers(1, 12, 4), 1, None, target[:, :0]) for target in targets]
    model = overfit(trunk, conditions, targets)
    options = SamplingOptions(temperature=0, max_seconds=0.3)
    decoded = decode(model, conditions, [options] * 2)
    assert [one.codes[:2].tolist() for one in decoded] == [target[:2].tolist() for target in targets]
    assert all(one.is_complete for one in decoded)


def test_a_run_of_whole_frames_speaks_continues_and_refuses_adapters_of_codebooks(tmp_path):
    options = TrainOptions(
        training_set=make_toy_set(tmp_path), run_dir=tmp_path / "run", model="nano", whole_frames=True, max_steps=6,
        log_every=6, batch_tokens=300, prompt_seconds=(0.1, 0.2), nar_len_ratio=0.5, length_ratio=0.2, max_context=9,
        codebook_schedule="bell",
    )  # fmt: skip
    result = train(options)
    assert set(result.metrics["top10_ar_by_codebook"]) == {str(codebook) for codebook in range(8)}
    synthesizer = Synthesizer.load(result.checkpoint, ToyBackends())
    prompt = Prompt(codes_for("abc", 1))
    for sampling in ({"max_seconds": 0.4}, {"decoding": "nar-len", "seconds": 0.4}):
        speech = synthesizer.speak("abad", prompt, options=SamplingOptions.model_validate(sampling))
        assert speech.codes.shape[0] == 8 and 0 < speech.codes.shape[1] <= 20
        assert len(speech.audio.samples) == speech.codes.shape[1] * SPEC.hop_length
    again = options.model_copy(update={"max_steps": 7})
    assert train(again).step == 7
    started = {"run_dir": tmp_path / "other", "start_from": result.checkpoint}
    with pytest.raises(ConfigurationError, match=r"leave out lora\.codebooks"):
        train(options.model_copy(update=started | {"lora": LoraOptions(rank=2, codebooks=(0,))}))


def test_a_run_trains_a_mixture_and_logs_the_load_of_its_experts(tmp_path):
    options = TrainOptions(
        training_set=make_toy_set(tmp_path), run_dir=tmp_path / "run", model="nano", trunk="mixtral", experts=4,
        max_steps=3, log_every=1, batch_tokens=300, prompt_seconds=(0.1, 0.2), router_loss=1.0,
    )  # fmt: skip
    result = train(options)
    assert sum(result.metrics["expert_load"]) == pytest.approx(1, abs=1e-3)
    assert 1 <= result.metrics["largest_expert_load"] <= 2
    assert load_model(result.checkpoint)[0].config.trunk == "mixtral"
    for change, message in (
        ({"experts": 0}, "needs two experts"),
        ({"trunk": "mamba"}, "has no experts"),
        ({"trunk": "llama", "experts": 0, "kv_heads": 5}, "do not divide"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            train(options.model_copy(update=change | {"run_dir": tmp_path / "other"}))
