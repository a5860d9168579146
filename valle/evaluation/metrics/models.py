"""Name the models that compute the metrics of an evaluation."""

from dataclasses import dataclass

from valle.backends.asr import transcriber_revision
from valle.backends.quality import quality_scorer_revision
from valle.backends.speaker import speaker_encoder_revision
from valle.phonemes import phonemizer_revision
from valle.text.normalise import get_normaliser
from warehouse.errors import DependencyError

_OPTIONAL_SCORERS = ("distillmos",)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricModels:
    """The metric models and the text normaliser of an evaluation, by name."""

    asr: str = "tiny.en"
    speaker_encoder: str = "resemblyzer"
    scorers: tuple[str, ...] = ("dnsmos",)
    normaliser: str = "valle-en"
    phonemizer: str = "espeak"

    @property
    def revisions(self) -> dict[str, str]:
        """Every model with the hash of its weights. Raise DependencyError for one that is not installed."""
        return {
            "ASR": transcriber_revision(self.asr),
            "speaker encoder": speaker_encoder_revision(self.speaker_encoder),
            "naturalness": "+".join(quality_scorer_revision(name) for name in self.scorers) or "none",
            "normaliser": get_normaliser(self.normaliser).label,
            "phonemizer": phonemizer_revision(self.phonemizer),
        }


def available_scorers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scorers without optional ones that are not installed."""

    def is_installed(name: str) -> bool:
        try:
            quality_scorer_revision(name)
        except DependencyError:
            if name not in _OPTIONAL_SCORERS:
                raise
            return False
        return True

    return tuple(name for name in names if is_installed(name))
