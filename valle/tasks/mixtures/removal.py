"""Speech removal: the noise of a noisy recording, without the speech."""

from pydantic import Field

from valle.model.layout import Marker
from valle.tasks.base import MixtureKind, Sound
from valle.tasks.mixtures.mixture import MixtureTask
from valle.tasks.tts import TtsOptions


class RemovalOptions(TtsOptions):
    """Option of the training mix."""

    removal_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that remove the speech from noise; needs mixtures (`valle data mix`).",
    )


class RemovalTask(MixtureTask):
    """Speech removal; see the module."""

    name = "sr"
    marker = Marker.SR
    kinds = (MixtureKind.NOISE,)
    output = Sound.INTERFERENCE

    def ratio(self, options: RemovalOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.removal_ratio


REMOVAL = RemovalTask()
