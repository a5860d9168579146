"""Voice conversion: the words and rhythm of a recording in the voice of a prompt.

It is trained on utterances whose voice the stage `mix` has changed: that is what is given, the utterance itself is the
target, and another utterance of its speaker is the prompt. Singing conversion is the same layout under another name.
"""

from pydantic import Field

from valle.model.layout import Marker
from valle.tasks.base import MixtureKind
from valle.tasks.mixtures.mixture import MixtureTask
from valle.tasks.tts import TtsOptions


class ConversionOptions(TtsOptions):
    """Option of the training mix."""

    conversion_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that give speech the voice of a prompt; needs mixtures (`valle data mix`).",
    )
    singing_ratio: float = Field(
        default=0.0, ge=0, le=1, description="The same for singing; needs a training set of songs and mixtures."
    )


class ConversionTask(MixtureTask):
    """Voice conversion; see the module."""

    name = "vc"
    marker = Marker.VC
    kinds = (MixtureKind.VOICE,)
    needs_prompt = True

    def ratio(self, options: ConversionOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.conversion_ratio


class SingingTask(ConversionTask):
    """Conversion of singing: rows and marker of `vc`, for a run whose training set sings."""

    name = "svc"

    def ratio(self, options: ConversionOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.singing_ratio


CONVERSION = ConversionTask()
SINGING = SingingTask()
