"""Mix segments: their codes with noise, in a room, with a second speaker or in another voice.

Suppression, removal, extraction and conversion are trained on them. Mixing happens here, once, and never in the
training loop. What was added is the difference of the mixture and the speech, and has codes of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as options

from valle.audio import Samples
from valle.backends.registry import Backends
from valle.stages.base import STRICT, AudioNeed, Drop, Fraction, InterfererDraw, Seconds, Stage, WorkItem, audio_at
from valle.stages.rules.interferers import keyed_number
from valle.stages.rules.mixing import add_at_snr, change_voice, reverberate
from warehouse.catalogue.planning import InputView
from warehouse.errors import ConfigurationError
from warehouse.rows import MixturePayload, MixtureRow, StageRow

_Snr = Annotated[float, Field(ge=-100, le=100)]
_Factor = Annotated[float, Field(gt=0, le=10)]


@options(frozen=True, kw_only=True, config=STRICT)
class Mix(Stage):
    """Options of mixtures. Each segment has one, of a kind drawn by its id."""

    name: ClassVar[str] = "mix"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = MixtureRow

    codec: str = "mini"
    """Codec by name; must be that of the codes."""
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] = 24_000
    """Hz; must be the codec's."""
    noises: tuple[str, ...] = ()
    """Names of ingested corpora of kind `noise`."""
    noise_ratio: Fraction = 0.4
    """Share of mixtures with a noise."""
    reverb_ratio: Fraction = 0.1
    """Share of mixtures in a room."""
    speaker_ratio: Fraction = 0.25
    """Share of mixtures with another speaker of the corpus."""
    voice_ratio: Fraction = 0.25
    """Share of mixtures that are the segment itself in another voice."""
    snr: tuple[_Snr, _Snr] = (0.0, 20.0)
    """Least and greatest signal-to-noise ratio in decibels."""
    speaker_snr: tuple[_Snr, _Snr] = (0.0, 10.0)
    """Least and greatest ratio to a second speaker in decibels."""
    factors: tuple[_Factor, _Factor] = (1.1, 1.4)
    """Least and greatest factor of pitch and formants, up or down."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Fixes every draw."""
    batch_seconds: Seconds = field(default=120.0, metadata={"neutral": True})
    """Audio of one call, padding included."""

    @property
    def audio(self) -> AudioNeed:
        """The codec's rate."""
        return audio_at(self.sample_rate)

    @property
    def revision(self) -> str:
        """The codec's name and weights."""
        from valle.codec import codec_revision

        return codec_revision(self.codec)

    @property
    def draws(self) -> InterfererDraw:
        """Interferers by the shares of the kinds."""
        return InterfererDraw(seed=self.seed, corpora=self.noises, ratios=self._ratios)

    @property
    def _ratios(self) -> Mapping[str, float]:
        return {
            "noise": self.noise_ratio,
            "reverb": self.reverb_ratio,
            "speaker": self.speaker_ratio,
            "voice": self.voice_ratio,
        }

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[MixturePayload | Drop]:
        """Mix every segment and encode mixtures and interferences in one call.

        Raises ConfigurationError when the codec has another sample rate.
        """
        codec = models.codec(self.codec)
        if codec.spec.sample_rate != self.sample_rate:
            raise ConfigurationError(
                f"codec {self.codec} works at {codec.spec.sample_rate} Hz: set sample_rate of mix to that."
            )
        mixed = [(item, self._mixture(item)) for item in items if item.input.mixture_kind is not None]
        waves = [wave for item, mixture in mixed for wave in _waves(item, mixture)]
        encoded = iter(codec.encode(waves) if waves else [])
        payloads = {
            item.input.id: self._payload(item, [next(encoded) for _ in _waves(item, mixture)], codec.spec.label)
            for item, mixture in mixed
        }
        nothing = Drop("no_interferer", "no noise, room or other speaker to mix it with")
        return [payloads.get(item.input.id, nothing) for item in items]

    def _mixture(self, item: WorkItem) -> Samples:
        kind, added = item.input.mixture_kind, item.interference
        if kind == "voice":
            return change_voice(item.samples, self.sample_rate, self._factor(item))
        assert added is not None, f"a mixture of kind {kind} has an interferer"
        if kind == "reverb":
            return reverberate(item.samples, added.samples)
        return add_at_snr(item.samples, added.samples, self._snr(item))

    def _snr(self, item: WorkItem) -> float:
        low, high = self.speaker_snr if item.input.mixture_kind == "speaker" else self.snr
        return low + (high - low) * keyed_number(self.seed, item.input.id, "snr")

    def _factor(self, item: WorkItem) -> float:
        low, high = self.factors
        factor = low + (high - low) * keyed_number(self.seed, item.input.id, "factor")
        return factor if keyed_number(self.seed, item.input.id, "direction") < 0.5 else 1 / factor

    def _payload(self, item: WorkItem, codes: Sequence[np.ndarray], label: str) -> MixturePayload:
        kind, interferer = item.input.mixture_kind, item.input.interferer
        assert kind is not None, "only inputs with a kind are mixed"
        return MixturePayload(
            kind=kind,
            interferer=interferer.id if interferer else None,
            interferer_licence=interferer.licence if interferer else None,
            interferer_start=interferer.start if interferer else None,
            snr=self._snr(item) if kind in ("noise", "speaker") else None,
            factor=self._factor(item) if kind == "voice" else None,
            codec=label,
            num_frames=codes[0].shape[1],
            num_codebooks=sum(len(block) for block in codes),
            codes=[row for block in codes for row in block.tolist()],
        )


def _waves(item: WorkItem, mixture: Samples) -> list[Samples]:
    """Return what is encoded of a mixture: itself, and what was added unless the voice was changed."""
    if item.input.mixture_kind == "voice":
        return [mixture]
    return [mixture, mixture - item.samples]
