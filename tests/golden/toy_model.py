"""A toy model whose weights come from a formula, and what it computes; `python -m tests.golden.toy_model` stores it."""

from pathlib import Path

import numpy as np
import torch

from valle.data.random_streams import Stream, uniform
from valle.model.batch import make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import BeamOptions, MaskedOptions, SamplingOptions
from valle.tasks.tts import TTS

FILE = Path(__file__).with_name("toy_model.npz")
SIZE = 32


def toy_model():
    config = ModelConfig(
        num_codebooks=4,
        codebook_size=SIZE,
        frame_rate=50.0,
        num_symbols=16,
        languages=("<unk>", "en"),
        width=32,
        depth=2,
        heads=2,
        feed_forward=48,
    )
    model = ValleModel(config).eval()
    with torch.no_grad():
        for number, (_, parameter) in enumerate(sorted(model.named_parameters())):
            values = uniform(number, 0, Stream.CODEBOOK, np.arange(parameter.numel())) * 2 - 1
            scale = 1.0 if parameter.dim() == 1 else 3 / np.sqrt(parameter.shape[-1])
            parameter.copy_(torch.from_numpy(values * scale).reshape(parameter.shape))
    return model


def toy_rows(codebook, *, masked=False):
    rng = np.arange(200) * 7 % SIZE
    sizes = [(5, 4, 6), (9, 0, 3), (3, 8, 10)]
    return [
        TTS.row(
            symbol_ids=np.arange(1, 1 + symbols),
            language_id=1,
            codebook=codebook,
            prompt=np.resize(rng + place, (4, prompt)).astype(np.int16) % SIZE if prompt else None,
            target=np.resize(rng + 3 * place, (4, frames)).astype(np.int16) % SIZE,
            masked=np.arange(frames) % 3 > 0 if masked else None,
        )
        for place, (symbols, prompt, frames) in enumerate(sizes)
    ]


@torch.inference_mode()
def compute():
    """Logits of every codebook and mode, and the codes spoken in every way."""
    model = toy_model()
    outputs = {}
    for codebook in range(4):
        mode = Mode.AR if codebook == 0 else Mode.NAR
        outputs[f"logits_{codebook}"] = model(make_batch(TTS.layout(mode), toy_rows(codebook), model.config)).numpy()
    masked = make_batch(TTS.layout(Mode.NAR_LEN), toy_rows(0, masked=True), model.config)
    outputs["logits_masked"] = model(masked).numpy()
    conditions = [
        Condition(row.fields["text"], 1, row.fields.get("prompt"), np.zeros((4, 0), np.int16)) for row in toy_rows(3)
    ]
    ways = {
        "greedy": SamplingOptions(temperature=0),
        "drawn": SamplingOptions(),
        "guided": SamplingOptions(guidance=2),
        "beams": SamplingOptions(beam=BeamOptions(width=3)),
        "masked": SamplingOptions(decoding="nar-len", guidance=3, masked=MaskedOptions(steps=5)),
    }
    for name, way in ways.items():
        options = [way.model_copy(update={"max_seconds": 1, "seed": seed}) for seed in range(3)]
        for place, spoken in enumerate(decode(model, conditions, options)):
            outputs[f"{name}_{place}"] = spoken.codes
    return outputs


if __name__ == "__main__":
    np.savez_compressed(FILE, **compute())
