"""Weights and outputs of other models: growth, tables by name, distillation."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import mode_of, random_row, small_config, small_model, speech
from tests.unit.training.toy import make_toy_set
from valle.checkpoints.checkpoint import load_model, read_weights
from valle.model.valle import ValleModel
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.training.distillation import Teacher
from valle.training.growth import grow_weights
from valle.training.loop import train
from valle.training.options import DistillationOptions, TrainOptions
from warehouse.errors import CheckpointError


@pytest.mark.parametrize(
    "changes", [{"depth": 5}, {"trunk": "mixtral", "experts": 4}, {"depth": 3, "trunk": "mixtral", "experts": 2}]
)
def test_a_grown_model_computes_the_same_until_it_is_trained(changes):
    small, config = small_model(), small_config(**changes)
    grown = ValleModel(config).eval()
    weights = grow_weights(small.state_dict(), small.config, config)
    missing, unexpected = grown.load_state_dict(weights, strict=False)
    assert all(name.endswith("router.weight") for name in missing)
    assert not unexpected
    for codebook in (0, 3):
        batch = speech(mode_of(codebook), [random_row(np.random.default_rng(0), codebook=codebook)])
        with torch.no_grad():
            torch.testing.assert_close(grown(batch), small(batch), atol=1e-5, rtol=1e-4)


def test_new_layers_lie_between_the_old_ones_and_all_old_ones_are_kept():
    before, after = small_config(depth=2), small_config(depth=5)
    weights = {f"trunk.blocks.{i}.mlp.output.weight": torch.full((1,), i + 1.0) for i in range(2)}
    grown = grow_weights(weights, before, after)
    assert [float(grown[f"trunk.blocks.{i}.mlp.output.weight"]) for i in range(5)] == [1, 0, 0, 2, 0]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    home = tmp_path_factory.mktemp("base")
    options = TrainOptions(
        training_set=make_toy_set(home), run_dir=home / "base", model="nano", max_steps=2, batch_tokens=300,
        prompt_seconds=(0.1, 0.2), warmup_steps=1,
    )  # fmt: skip
    return train(options).checkpoint, options


def test_a_run_starts_from_a_grown_checkpoint(base, tmp_path):
    checkpoint, options = base
    changes = {"depth": 3, "trunk": "mixtral", "experts": 2, "lookahead": 1, "max_steps": 1}
    grown = train(options.model_copy(update={"run_dir": tmp_path / "a", "start_from": checkpoint, **changes}))
    config = load_model(grown.checkpoint)[0].config
    assert (config.depth, config.trunk, config.experts, config.lookahead) == (3, "mixtral", 2, 1)
    # The same options serve the run after it, which starts from what has grown.
    next_run = {"run_dir": tmp_path / "next", "start_from": grown.checkpoint}
    again = train(options.model_copy(update={**changes, **next_run}))
    assert load_model(again.checkpoint)[0].config == config
    for wrong in ({"depth": 1}, {"trunk": "retnet"}, {"feed_forward": 8}):
        with pytest.raises(CheckpointError, match="has another"):
            train(options.model_copy(update={"run_dir": tmp_path / "b", "start_from": checkpoint, **wrong}))


def test_a_run_bounds_the_context_of_the_checkpoint_that_it_starts_from(base, tmp_path):
    checkpoint, options = base
    changes = {"max_context": 12, "max_steps": 1, "start_from": checkpoint}
    bounded = train(options.model_copy(update={"run_dir": tmp_path / "a", **changes}))
    assert load_model(bounded.checkpoint)[0].config.max_context == 12
    with pytest.raises(CheckpointError, match="cannot bring back what it dropped"):
        train(options.model_copy(update={"run_dir": tmp_path / "b", "lookahead": 1, **changes}))


def test_a_run_speaks_with_the_sampling_of_the_checkpoint_that_it_starts_from(base, tmp_path):
    _, options = base
    tuned = SamplingOptions(guidance=2.0, temperature=0.75)
    first = train(options.model_copy(update={"run_dir": tmp_path / "a", "sampling": tuned, "max_steps": 1})).checkpoint
    for own, expected in ((SamplingOptions(), tuned), (SamplingOptions(top_k=3), SamplingOptions(top_k=3))):
        changes = {"run_dir": tmp_path / f"b{own.top_k}", "start_from": first, "max_steps": 1, "sampling": own}
        assert read_sampling(train(options.model_copy(update=changes)).checkpoint) == expected


def test_tables_of_another_model_are_taken_by_name_and_can_be_frozen(base, tmp_path):
    checkpoint, options = base
    tables = ("ids.weight", "prompt_codes.weight", "target_codes.weight", "separator")
    changes = {"run_dir": tmp_path / "a", "embeddings_from": checkpoint, "trunk": "retnet", "freeze": tables}
    taken, before = read_weights(train(options.model_copy(update=changes)).checkpoint), read_weights(checkpoint)
    assert all(torch.equal(taken[name], before[name]) for name in tables)
    assert not torch.equal(taken["heads.weight"], before["heads.weight"])
    with pytest.raises(CheckpointError, match="of the same width"):
        train(options.model_copy(update={**changes, "run_dir": tmp_path / "b", "model": "tiny"}))


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_the_distance_to_a_teacher_is_zero_for_itself_and_falls_towards_it(base, loss):
    checkpoint, _ = base
    model, _ = load_model(checkpoint)
    teacher = Teacher(checkpoint, model.config, DistillationOptions(teacher=checkpoint, alpha=0.0, loss=loss))
    row = random_row(np.random.default_rng(0))
    batch = _batch(model, row)
    with torch.no_grad():
        own = model(batch)
        near, far = (own + step * torch.randn(own.shape, generator=torch.manual_seed(0)) for step in (0.1, 1.0))
        zero = torch.zeros(())
        distances = [float(teacher.mix(zero, logits, batch)) for logits in (own, own + 3, near, far)]
    assert distances[0] == pytest.approx(0, abs=1e-4)
    assert distances[1] == pytest.approx(0, abs=1e-3)  # a constant changes no distribution
    assert distances[0] < distances[2] < distances[3]


def _batch(model, row):
    from valle.model.batch import make_batch
    from valle.tasks.tts import TTS

    return make_batch(TTS.layout(mode_of(0)), [row], model.config)


def test_a_student_learns_from_a_teacher_of_another_kind(base, tmp_path):
    checkpoint, options = base
    distillation = DistillationOptions(teacher=checkpoint, alpha=0.2, temperature=2.0)
    changes = {"run_dir": tmp_path / "a", "trunk": "retnet", "distillation": distillation, "seed": 1}
    student = load_model(train(options.model_copy(update=changes)).checkpoint)[0]
    assert student.config.text_stride == load_model(checkpoint)[0].config.text_stride
    other = small_config()
    with pytest.raises(CheckpointError, match="has another codebook_size and num_symbols"):
        Teacher(checkpoint, other.model_copy(update={"text_stride": student.config.text_stride}), distillation)
