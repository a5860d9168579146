"""A short training that starts from imported weights."""

from pathlib import Path

from tests.unit.training.toy import make_toy_set
from valle.codec.base import CodecSpec
from valle.training.loop import TrainResult, train
from valle.training.options import TrainOptions


def finetune(checkpoint: Path, codec: CodecSpec, directory: Path) -> TrainResult:
    """Train for 30 updates on toy data, and assert that the loss is a tenth lower at the end."""
    options = TrainOptions(
        training_set=make_toy_set(directory / "toy", num_items=6, dev_items=0, spec=codec),
        run_dir=directory / "runs" / "tuned",
        start_from=checkpoint,
        max_steps=30,
        batch_tokens=600,
        learning_rate=1e-2,
        warmup_steps=2,
        prompt_seconds=(0.1, 0.1),
        log_every=10,
        save_every=30,
    )
    losses: list[float] = []
    result = train(options, lambda line: losses.append(line["loss"]))
    assert losses[-1] < 0.9 * losses[0]
    return result
