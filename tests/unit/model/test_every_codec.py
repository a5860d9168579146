"""A small model trains on codes of the shape of every codec: any number of codebooks, of any size, in either order."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from valle.codec import codec_names, spec_of_given_codes
from valle.codec.base import CodecSpec
from valle.model.batch import Batch, make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.loss import model_loss
from valle.model.valle import ValleModel
from valle.tasks.tts import TTS


def shapes() -> list[CodecSpec]:
    """One codec of each shape."""
    specs = [spec_of_given_codes(name) for name in codec_names()]
    return list({(spec.num_codebooks, spec.codebook_size, spec.order): spec for spec in specs}.values())


def config_of(spec: CodecSpec) -> ModelConfig:
    return ModelConfig(
        num_codebooks=spec.num_codebooks, codebook_size=spec.codebook_size, frame_rate=spec.frame_rate,
        num_symbols=12, languages=("<unk>", "en"),
        width=16, depth=1, heads=2, feed_forward=24,
    )  # fmt: skip


def batch_of(mode: Mode, codebooks: Sequence[int], config: ModelConfig) -> Batch:
    rng = np.random.default_rng(0)
    rows = [
        TTS.row(
            rng.integers(1, 12, 5),
            1,
            codebook,
            rng.integers(0, config.codebook_size, (config.num_codebooks, 4)).astype(np.int16),
            rng.integers(0, config.codebook_size, (config.num_codebooks, 6)).astype(np.int16),
        )
        for codebook in codebooks
    ]
    return make_batch(TTS.layout(mode), rows, config)


@pytest.mark.parametrize("spec", shapes(), ids=lambda spec: spec.name)
def test_a_step_lowers_the_loss_of_the_first_and_of_the_last_codebook(spec: CodecSpec) -> None:
    torch.manual_seed(0)
    config = config_of(spec)
    model = ValleModel(config)
    last = spec.num_codebooks - 1
    batches = [batch_of(Mode.AR, [0, 0], config), batch_of(Mode.NAR, [1, last], config)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def losses() -> list[torch.Tensor]:
        return [model_loss(model, batch).total / batch.num_labels for batch in batches]

    before = losses()
    torch.autograd.backward(before)
    optimizer.step()
    assert all(float(after.detach()) < float(loss.detach()) for after, loss in zip(losses(), before, strict=True))
