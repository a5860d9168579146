"""The classes that transformers loads: our network behind `PreTrainedModel`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from valle.model.batch import make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions, sampling_of
from valle.tasks.tts import TTS


class ValleConfig(PretrainedConfig):
    """Configuration of a checkpoint; `valle` is its card."""

    model_type = "valle"

    def __init__(self, valle: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.valle = valle or {}
        super().__init__(**kwargs)

    @property
    def network(self) -> ModelConfig:
        """Return the configuration of the network."""
        return ModelConfig(**self.valle["model"])

    def language_id(self, language: str) -> int:
        """Return the id of an ISO 639-1 code."""
        return self.network.language_id(language)


class ValleForSpeech(PreTrainedModel):
    """Text-to-speech by our network: `forward` computes logits, `generate_codes` decodes codes."""

    config_class = ValleConfig
    base_model_prefix = "model"

    def __init__(self, config: ValleConfig) -> None:
        super().__init__(config)
        self.model = ValleModel(config.network)
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Leave the weights as the network has initialized them."""

    def forward(
        self,
        input_ids: Tensor,
        target_codes: Tensor,
        prompt_codes: Tensor | None = None,
        language: str = "en",
        codebook: int = 0,
        masked: Tensor | None = None,
    ) -> Tensor:
        """Compute logits [predictions, outputs] of one utterance.

        `input_ids` [n] are phonemes, codes are [K, T]. With `masked` [T] codebook 0 is predicted at once, without it
        frame by frame; a `codebook` above 0 is predicted from those below.
        """
        mode = Mode.NAR if codebook else Mode.AR if masked is None else Mode.NAR_LEN
        row = TTS.row(
            input_ids.flatten().cpu().numpy(),
            self.config.language_id(language),
            codebook,
            None if prompt_codes is None else prompt_codes.cpu().numpy(),
            target_codes.cpu().numpy(),
            None if masked is None else masked.cpu().numpy().astype(bool),
        )
        return self.model(make_batch(TTS.layout(mode), [row], self.model.config).to(self.device))

    @torch.no_grad()
    def generate_codes(
        self,
        input_ids: Sequence[Tensor],
        prompt_codes: Sequence[Tensor | None],
        language: str = "en",
        sampling: dict[str, Any] | None = None,
    ) -> list[Tensor]:
        """Decode codes [K, T] of several utterances; `sampling` are our sampling options by name."""
        empty = np.zeros((self.model.config.num_codebooks, 0), dtype=np.int16)
        conditions = [
            Condition(
                symbol_ids=ids.flatten().cpu().numpy(),
                language_id=self.config.language_id(language),
                prompt=None if prompt is None else prompt.cpu().numpy().astype(np.int16),
                prefix=empty,
            )
            for ids, prompt in zip(input_ids, prompt_codes, strict=True)
        ]
        options = SamplingOptions(**sampling) if sampling else sampling_of(self.config.valle.get("options", {}))
        decoded = decode(self.model, conditions, [options] * len(conditions))
        return [torch.from_numpy(one.codes.astype(np.int64)) for one in decoded]
