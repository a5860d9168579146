"""How speech is sampled. Prefect and the command line show these models as they are."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from warehouse.errors import ConfigurationError

_ONLY_AR = (
    *("min_temperature", "repetition_penalty", "length_penalty", "shortest"),
    *("dry", "mirostat", "repetition_aware", "adaptive", "beam"),
)
_DRAWS = ("mirostat", "repetition_aware", "adaptive", "beam")
_ONLY_NAR_LEN = ("masked", "duration", "seconds", "slowness")


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DryOptions(_Options):
    """A penalty on codes that would go on with something that was said before."""

    multiplier: float = Field(default=0.0, ge=0, description="Of the penalty; 0 is off, 0.8 is usual.")
    base: float = Field(default=1.75, ge=1, description="By which the penalty grows with each repeated frame.")
    allowed_length: int = Field(default=2, ge=1, description="Frames whose repetition begins to be penalized.")


class MirostatOptions(_Options):
    """A top-k that changes so that codes surprise by as much as is wanted."""

    tau: float = Field(default=0.0, ge=0, description="Surprise to aim at, in bits per frame; 0 is off.")
    eta: float = Field(default=0.1, gt=0, description="How fast it corrects itself.")


class RepetitionAwareOptions(_Options):
    """Another draw, from all codes, instead of one that was frequent of late (VALL-E 2)."""

    window: int = Field(default=0, ge=0, description="Frames it looks back; 0 is off, 10 is the paper's.")
    threshold: float = Field(default=0.1, ge=0, le=1, description="Share of these frames above which it draws again.")


class AdaptiveOptions(_Options):
    """Temperature and nucleus by how uncertain the model is, after Entropix; entropies are in bits."""

    enabled: bool = Field(default=False, description="Whether it is used.")
    low_entropy: float = Field(default=0.1, ge=0, description="Entropy below which the model is certain.")
    high_entropy: float = Field(default=5.0, ge=0, description="Entropy above which it is uncertain.")
    low_varentropy: float = Field(default=0.1, ge=0, description="Varentropy below which likely codes are alike.")
    high_varentropy: float = Field(default=5.0, ge=0, description="Varentropy above which they differ.")
    candidates: int = Field(default=5, ge=1, description="Draws of which the likeliest is taken in between.")


class BeamOptions(_Options):
    """Beam search instead of draws."""

    width: int = Field(default=0, ge=0, description="Beginnings that are kept; 0 is off.")
    length_exponent: float = Field(
        default=1.0, ge=0, description="Scores are divided by the length to this power; more is for longer speech."
    )


class MaskedOptions(_Options):
    """How codebook 0 is filled in from masks."""

    steps: int = Field(default=25, ge=1, description="Rounds; fewer are faster.")
    score: Literal["likeliest", "drawn", "entropy", "random"] = Field(
        default="likeliest",
        description="What settles a frame: the probability of the likeliest or of the drawn code, entropy, or chance.",
    )
    remask: bool = Field(default=False, description="Whether settled frames may be hidden again; it tends to stutter.")
    anneals_guidance: bool = Field(default=False, description="Guide more and more from round to round.")


class SamplingOptions(_Options):
    """Options of one utterance to be spoken. Those before `decoding` are about codebook 0 of the AR.

    Of them NAR-len knows temperature, the filters and the banned codes.
    """

    temperature: float = Field(default=1.0, ge=0, description="Of codebook 0; 0 takes the likeliest code.")
    min_temperature: float | None = Field(
        default=None, ge=0, description="Temperature of frames that the model is sure of; none for the same everywhere."
    )
    top_k: int = Field(default=0, ge=0, description="Draw codebook 0 from the k likeliest codes; 0 from all.")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="Draw codebook 0 from the likeliest codes that together reach this share."
    )
    min_p: float = Field(
        default=0.0, ge=0, le=1, description="Leave out codes less probable than this share of the likeliest; 0 is off."
    )
    top_sigma: float = Field(
        default=0.0, ge=0, description="Leave out logits this many deviations below the largest; 0 is off, 1 is usual."
    )
    repetition_penalty: float = Field(
        default=1.0, ge=1, description="Divides the odds of codes of the last frames, once per occurrence; 1 is off."
    )
    repetition_window: int = Field(default=75, ge=1, description="Frames that the repetition penalty looks back.")
    repetition_decay: float = Field(
        default=0.0, ge=0, description="How the repetition penalty weakens with the distance; 0 is not at all."
    )
    length_penalty: float = Field(
        default=0.0, description="Divides the odds of an end by the frames so far to this power; below 0 for shorter."
    )
    shortest: float = Field(
        default=0.0, ge=0, le=1, description="No end before this share of what the text takes on average; 0 is off."
    )
    banned: tuple[int, ...] = Field(default=(), description="Codes of codebook 0 that are never said.")
    dry: DryOptions = Field(default=DryOptions(), description="Penalty on repeated sequences.")
    mirostat: MirostatOptions = Field(default=MirostatOptions(), description="Draws of even surprise.")
    repetition_aware: RepetitionAwareOptions = Field(
        default=RepetitionAwareOptions(), description="Repetition-aware draws."
    )
    adaptive: AdaptiveOptions = Field(default=AdaptiveOptions(), description="Draws that adapt to uncertainty.")
    beam: BeamOptions = Field(default=BeamOptions(), description="Beam search.")
    decoding: Literal["ar", "nar-len"] = Field(
        default="ar", description="Codebook 0 frame by frame (ar), or all at once from masks (nar-len)."
    )
    guidance: float = Field(
        default=1.0,
        ge=1,
        description="How far to lead codebook 0 towards text and prompt; 1 is off, nar-len needs 2-3.",
    )
    guidance_rescale: float = Field(
        default=0.75, ge=0, le=1, description="How much of the spread that either guidance adds is taken back."
    )
    masked: MaskedOptions = Field(default=MaskedOptions(), description="Filling in from masks.")
    duration: Literal["digits", "at_once", "average"] = Field(
        default="digits",
        description="How nar-len finds a length: digit by digit, in one pass, or by the text's length.",
    )
    seconds: float | None = Field(default=None, gt=0, description="Length of nar-len's speech; none predicts it.")
    slowness: float = Field(default=1.0, gt=0, description="By which predicted lengths are multiplied.")
    nar_temperature: float = Field(default=0.0, ge=0, description="Of the other codebooks; 0 takes the likeliest.")
    nar_guidance: float = Field(
        default=1.0, ge=1, description="How far to lead the other codebooks towards text and prompt; 1 is off."
    )
    seed: int = Field(default=0, ge=0, description="Fixes every draw.")
    max_seconds: float = Field(default=20.0, gt=0, description="Longest speech; what has no end by then is cut.")
    continues_prompt: bool = Field(
        default=False,
        description="Go on from the prompt as if one speaker spoke both texts; needs the prompt's own phonemes.",
    )
    continuation: Literal["prefix", "task"] = Field(
        default="prefix",
        description="How it goes on: the frames of the prompt begin the speech (prefix), which every model can, or it "
        "is the task tts-c, which a model learns by continuation_ratio.",
    )

    def over(self, defaults: "SamplingOptions") -> "SamplingOptions":
        """These options, and what they leave open as in `defaults`, where it serves this way of decoding and drawing.

        A group of options, such as `dry`, is one: what is given of it is all of it. Raises ConfigurationError when the
        two contradict each other.
        """
        given = self.model_fields_set
        decoding = self.decoding if "decoding" in given else defaults.decoding
        left = set(type(self).model_fields) - given - set(_ONLY_NAR_LEN if decoding == "ar" else _ONLY_AR)
        if given & set(_DRAWS):
            left -= set(_DRAWS)
        content = {name: getattr(defaults, name) for name in left if name in defaults.model_fields_set}
        try:
            return type(self)(**content, **{name: getattr(self, name) for name in given})
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigurationError(f"Beside the sampling of the checkpoint, {problem}") from error

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        draws = {
            "mirostat": self.mirostat.tau > 0,
            "repetition_aware": self.repetition_aware.window > 0,
            "adaptive": self.adaptive.enabled,
            "beam": self.beam.width > 0,
        }
        if len(chosen := [name for name, is_chosen in draws.items() if is_chosen]) > 1:
            raise ValueError(f"{' and '.join(chosen)} draw codes in different ways; choose one.")
        if self.min_temperature is not None and self.min_temperature > self.temperature:
            raise ValueError("min_temperature is above temperature; make it smaller.")
        useless = _ONLY_NAR_LEN if self.decoding == "ar" else _ONLY_AR
        if given := [name for name in useless if getattr(self, name) != type(self).model_fields[name].default]:
            raise ValueError(
                f"decoding={self.decoding} makes no use of {' and '.join(given)}; decode otherwise, or leave it out."
            )
        return self


class BestOfOptions(_Options):
    """How many takes there are, and how one of them is chosen."""

    count: int = Field(default=1, ge=1, description="Takes of every sentence; 1 is off.")
    transcriber: str = Field(default="tiny.en", description="ASR model that hears the words.")
    speaker_encoder: str = Field(default="resemblyzer", description="Encoder that compares the voice to the prompt.")
    word_weight: float = Field(default=1.0, ge=0, description="Of the word error rate, which counts against a take.")
    character_weight: float = Field(
        default=1.0, ge=0, description="Of the character error rate, which counts against a take."
    )
    voice_weight: float = Field(default=1.0, ge=0, description="Of the cosine of its voice to the prompt's.")


DEFAULT_BEST_OF = BestOfOptions()
