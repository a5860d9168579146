"""Options of synthesis; Prefect forms, command-line flags and YAML files are these models.

Every number has an upper bound and refuses infinity and NaN: beyond the bounds memory or time would be unlimited, or
the outcome noise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from warehouse.errors import ConfigurationError

NUM_SEEDS = 2**64
"""Seeds that the random generators tell apart."""

LONGEST_PIECE = 2000
"""Characters of a text that are synthesized at a time."""

_SHORTEST_WINDOW = 24

_ONLY_AR = (
    *("min_temperature", "repetition_penalty", "length_penalty", "min_duration_ratio"),
    *("dry", "mirostat", "repetition_aware", "adaptive", "beam", "refine", "likeliest_of"),
)
_DRAWS = ("mirostat", "repetition_aware", "adaptive", "beam")
_ONLY_NAR_LEN = ("masked", "duration", "seconds", "duration_scale")


ConversionMethod = Literal["task", "draft", "singing"]
"""Way to give a recording another voice: two tasks that a checkpoint has learnt, or speech over its own codes."""

EditingMethod = Literal["task", "noisy", "masked"]
"""Way to fill new words in: two tasks that a checkpoint has learnt, or masked speech around the words that are kept."""

MixtureText = Literal["transcribed", "given", "none"]
"""Text that a task on a mixture is scored with: that of an ASR model, the right one, or none."""

Precision = Literal["fp32", "bf16", "fp16", "int8"]
"""Number type of the weights of a model that speaks; int8 rounds the layers of its trunk when it is loaded."""
Runtime = Literal["torch", "llama.cpp"]


class SynthesisOptions(BaseModel):
    """Base of the option models: frozen, strict about names, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DryOptions(SynthesisOptions):
    """Options of the penalty on codes that continue a repeated sequence."""

    multiplier: float = Field(default=0.0, ge=0, le=100, description="Of the penalty; 0 is off, 0.8 is usual.")
    base: float = Field(default=1.75, ge=1, le=10, description="Growth of the penalty with each repeated frame.")
    allowed_length: int = Field(default=2, ge=1, le=1000, description="Repeated frames without a penalty.")


class MirostatOptions(SynthesisOptions):
    """Options of Mirostat: a top-k that adapts until codes have the target surprise."""

    tau: float = Field(default=0.0, ge=0, le=20, description="Target surprise in bits per frame; 0 is off.")
    eta: float = Field(default=0.1, gt=0, le=10, description="Learning rate of the correction.")


class RepetitionAwareOptions(SynthesisOptions):
    """Options of the second draw, from all codes, in place of a code that is frequent in the last frames (VALL-E 2)."""

    window: int = Field(default=0, ge=0, le=10_000, description="Frames to look back; 0 is off, 10 is the paper's.")
    threshold: float = Field(default=0.1, ge=0, le=1, description="Ratio of these frames above which it draws again.")


class AdaptiveOptions(SynthesisOptions):
    """Options of temperature and nucleus by the uncertainty of the model, after Entropix; entropies are in bits."""

    enabled: bool = Field(default=False, description="Whether draws adapt.")
    low_entropy: float = Field(default=0.1, ge=0, le=100, description="Entropy below which the model is certain.")
    high_entropy: float = Field(default=5.0, ge=0, le=100, description="Entropy above which it is uncertain.")
    low_varentropy: float = Field(
        default=0.1, ge=0, le=1000, description="Varentropy below which likely codes are alike."
    )
    high_varentropy: float = Field(default=5.0, ge=0, le=1000, description="Varentropy above which they differ.")
    candidates: int = Field(default=5, ge=1, le=100, description="Draws of which the likeliest is used in between.")


class BeamOptions(SynthesisOptions):
    """Options of beam search, which replaces draws."""

    width: int = Field(default=0, ge=0, le=64, description="Beams; 0 is off.")
    length_exponent: float = Field(
        default=1.0, ge=0, le=10, description="Scores are divided by length to this power; more is for longer speech."
    )


class MaskedOptions(SynthesisOptions):
    """Options of masked decoding of codebook 0."""

    steps: int = Field(default=25, ge=1, le=1000, description="Rounds; fewer are faster.")
    score: Literal["likeliest", "drawn", "entropy", "random"] = Field(
        default="likeliest",
        description="What settles a frame: the probability of the likeliest or of the drawn code, entropy, or chance.",
    )
    remask: bool = Field(default=False, description="Whether settled frames may be masked again; it tends to stutter.")
    prefix_seconds: float = Field(
        default=0.0, ge=0, le=120, description="Seconds at the beginning that are decoded frame by frame instead."
    )
    anneals_guidance: bool = Field(default=False, description="Increase guidance from round to round.")


class SamplingOptions(SynthesisOptions):
    """Options of one utterance. Those before `decoding` apply to codebook 0 of the AR model.

    Of these, NAR-len uses temperature, the filters and the suppressed codes.
    """

    temperature: float = Field(default=1.0, ge=0, le=10, description="Of codebook 0; 0 is the likeliest code.")
    min_temperature: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Temperature of frames of which the model is certain; none for the same everywhere.",
    )
    top_k: int = Field(default=0, ge=0, le=65_536, description="Draw codebook 0 from the k likeliest codes; 0 is all.")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="Draw codebook 0 from the likeliest codes that together reach this."
    )
    min_p: float = Field(
        default=0.0, ge=0, le=1, description="Exclude codes less probable than this times the likeliest; 0 is off."
    )
    top_sigma: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Exclude logits this many deviations below the largest; 0 is off, 1 is usual.",
    )
    repetition_penalty: float = Field(
        default=1.0,
        ge=1,
        le=100,
        description="Divides the odds of codes of the last frames, once per occurrence; 1 is off.",
    )
    repetition_window: int = Field(
        default=75, ge=1, le=10_000, description="Frames that the repetition penalty looks back."
    )
    repetition_decay: float = Field(
        default=0.0, ge=0, le=10, description="Decay of the repetition penalty with the distance; 0 is none."
    )
    length_penalty: float = Field(
        default=0.0,
        ge=-100,
        le=100,
        description="Divides the odds of an end by the frames so far to this power; below 0 for shorter speech.",
    )
    min_duration_ratio: float = Field(
        default=0.0, ge=0, le=1, description="No end before this ratio of the average duration of the text; 0 is off."
    )
    suppressed_codes: tuple[Annotated[int, Field(ge=0, le=65_535)], ...] = Field(
        default=(), max_length=65_536, description="Codes of codebook 0 that are never drawn."
    )
    dry: DryOptions = Field(default=DryOptions(), description="Penalty on repeated sequences.")
    mirostat: MirostatOptions = Field(default=MirostatOptions(), description="Draws of even surprise.")
    repetition_aware: RepetitionAwareOptions = Field(
        default=RepetitionAwareOptions(), description="Repetition-aware draws."
    )
    adaptive: AdaptiveOptions = Field(default=AdaptiveOptions(), description="Draws that adapt to uncertainty.")
    beam: BeamOptions = Field(default=BeamOptions(), description="Beam search.")
    likeliest_of: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Draws of a sentence of which the likeliest is kept; 1 is off. A stream in windows draws once.",
    )
    refine: bool = Field(
        default=False, description="Replace each frame by the likeliest after those before it, once all are decoded."
    )
    decoding: Literal["ar", "nar-len"] = Field(
        default="ar", description="Codebook 0 frame by frame (ar), or at once by masked decoding (nar-len)."
    )
    guidance: float = Field(
        default=1.0,
        ge=1,
        le=100,
        description="Classifier-free guidance of codebook 0; 1 is off, nar-len needs 2-3.",
    )
    guidance_rescale: float = Field(
        default=0.75, ge=0, le=1, description="How much of the spread that either guidance adds is removed again."
    )
    masked: MaskedOptions = Field(default=MaskedOptions(), description="Masked decoding.")
    duration: Literal["digits", "at_once", "average"] = Field(
        default="digits",
        description="Duration of nar-len: predicted digit by digit, in one pass, or the average of the text's length.",
    )
    seconds: float | None = Field(
        default=None, gt=0, le=120, description="Duration of nar-len's speech; none predicts it."
    )
    duration_scale: float = Field(default=1.0, ge=0.1, le=10, description="Factor on the predicted duration.")
    nar_temperature: float = Field(default=0.0, ge=0, le=10, description="Of the other codebooks; 0 is the likeliest.")
    nar_guidance: float = Field(
        default=1.0, ge=1, le=100, description="Classifier-free guidance of the other codebooks; 1 is off."
    )
    seed: int = Field(default=0, ge=0, lt=NUM_SEEDS, description="Determines every draw.")
    max_seconds: float = Field(default=20.0, gt=0, le=120, description="Longest speech; one without an end is cut.")
    continues_prompt: bool = Field(
        default=False,
        description="Continue the prompt as if one speaker spoke both texts; needs the prompt's own phonemes.",
    )
    continuation: Literal["prefix", "task"] = Field(
        default="prefix",
        description="How it continues: the frames of the prompt are a prefix, which every model can, or it is the task "
        "tts-c, which a model learns by continuation_ratio.",
    )

    def over(self, defaults: "SamplingOptions") -> "SamplingOptions":
        """Return these options completed by `defaults`, where a default applies to this way of decoding and drawing.

        A group of options, such as `dry`, is one value. Raises ConfigurationError when the two contradict each other.
        """
        given = self.model_fields_set
        decoding = self.decoding if "decoding" in given else defaults.decoding
        open_names = set(type(self).model_fields) - given - set(_ONLY_NAR_LEN if decoding == "ar" else _ONLY_AR)
        # One of them replaces the other: that of the checkpoint would contradict the given one.
        if given & set(_DRAWS):
            open_names -= set(_DRAWS)
        if not self.is_random:
            open_names -= {"likeliest_of"}
        content = {name: getattr(defaults, name) for name in open_names if name in defaults.model_fields_set}
        try:
            return type(self)(**content, **{name: getattr(self, name) for name in given})
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigurationError(f"Beside the sampling of the checkpoint, {problem}") from error

    @property
    def is_random(self) -> bool:
        """Return whether codebook 0 of the AR depends on the seed."""
        return self.temperature > 0 and self.beam.width == 0

    @model_validator(mode="after")
    def _refuse_ignored_options(self) -> Self:
        draws = {
            "mirostat": self.mirostat.tau > 0,
            "repetition_aware": self.repetition_aware.window > 0,
            "adaptive": self.adaptive.enabled,
            "beam": self.beam.width > 0,
        }
        # An option without an effect would make an experiment report what it did not do.
        if len(chosen := [name for name, is_chosen in draws.items() if is_chosen]) > 1:
            raise ValueError(f"{' and '.join(chosen)} draw codes in different ways; choose one.")
        if self.likeliest_of > 1 and not self.is_random:
            raise ValueError("likeliest_of needs draws that differ; raise the temperature, or leave beam and it out.")
        if self.min_temperature is not None and self.min_temperature > self.temperature:
            raise ValueError("min_temperature is above temperature; make it smaller.")
        ignored = _ONLY_NAR_LEN if self.decoding == "ar" else _ONLY_AR
        if given := [name for name in ignored if getattr(self, name) != type(self).model_fields[name].default]:
            raise ValueError(
                f"decoding={self.decoding} makes no use of {' and '.join(given)}; decode otherwise, or leave it out."
            )
        return self


class BestOfOptions(SynthesisOptions):
    """Number of candidates of each sentence, and the score that chooses one."""

    count: int = Field(default=1, ge=1, le=64, description="Candidates of every sentence; 1 is off.")
    transcriber: str = Field(default="tiny.en", description="ASR model that transcribes the candidates.")
    speaker_encoder: str = Field(default="resemblyzer", description="Encoder that compares them to the prompt.")
    word_weight: float = Field(default=1.0, ge=0, le=1000, description="Weight of the word error rate.")
    character_weight: float = Field(default=1.0, ge=0, le=1000, description="Weight of the character error rate.")
    similarity_weight: float = Field(
        default=1.0, ge=0, le=1000, description="Weight of the cosine similarity to the prompt."
    )


class LongFormOptions(SynthesisOptions):
    """Options of splitting a text and joining its sentences."""

    split: Literal["sentences", "lines", "none"] = Field(
        default="sentences", description="What is synthesized at a time: a sentence, a line, or the whole text."
    )
    max_characters: int = Field(
        default=200,
        ge=20,
        le=LONGEST_PIECE,
        description="Sentences and lines that are longer are cut; a Chinese, Japanese or Korean character counts as 3.",
    )
    context_seconds: float = Field(
        default=6.0,
        ge=0,
        le=60,
        description="Longest span of earlier sentences that the next one continues; 0 is none.",
    )
    pause_seconds: float = Field(default=0.0, ge=0, le=60, description="Silence between sentences or lines.")


class StreamOptions(SynthesisOptions):
    """Options of speech that is emitted while its sentence is still decoded.

    Codebooks 1 and up are decoded window by window. Windows grow with the text to half of its frames so far: a short
    one is early, and a long one costs less. NAR-len and beams know a sentence only when it is whole, so their window is
    the sentence.
    """

    window: int = Field(
        default=96, ge=0, le=10_000, description="Most frames of a window; 0 is the sentence, as without a stream."
    )
    first_window: int = Field(
        default=62,
        ge=1,
        le=10_000,
        description="Frames of the first window; sound is what exceeds the look-ahead of the codec (38 for mini).",
    )
    lookahead: int = Field(
        default=8, ge=0, le=1000, description="Frames after a window whose codebook 0 its other codebooks see."
    )
    history: int = Field(
        default=150, ge=0, le=10_000, description="Frames before a window, earlier sentences included, that it sees."
    )

    def window_after(self, num_frames: int) -> int | None:
        """Return the frames of the window after `num_frames` of the text; None for the whole sentence."""
        if not self.window:
            return None
        if not num_frames:
            return self.first_window
        return min(self.window, max(_SHORTEST_WINDOW, num_frames // 2))


DEFAULT_STREAM = StreamOptions()
DEFAULT_SAMPLING = SamplingOptions()
DEFAULT_LONG_FORM = LongFormOptions()
DEFAULT_BEST_OF = BestOfOptions()


def sampling_of(options: Mapping[str, Any]) -> SamplingOptions:
    """Return the sampling in the options of a training, as cards have it. Raises ValidationError where it is wrong."""
    return SamplingOptions.model_validate(options.get("sampling", {}))


def read_sampling(checkpoint: Path) -> SamplingOptions:
    """Read the sampling options of a checkpoint's card. Raises CheckpointError when they are not valid."""
    # Not at import time: forms and `--help` need the models only, and cards come with codecs and audio libraries.
    from valle.checkpoints.runs import read_content, unreadable

    try:
        return sampling_of(read_content(checkpoint).get("options", {}))
    except (AttributeError, ValidationError) as error:
        raise unreadable(checkpoint, error) from error
