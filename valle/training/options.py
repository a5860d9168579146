"""What a training run is told. Prefect shows this model as a form, and JSON of it starts `python -m valle.training`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from valle.synthesis.options import SamplingOptions

LevelLaw = Literal["triangular", "uniform", "bell"]


class TrainSettings(BaseModel):
    """How to train, apart from what on and where to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(default="tiny", description="Size of the model: nano, tiny, 7m, 20m or 220m.")
    group: int = Field(default=1, ge=1, le=8, description="Frames of codebook 0 that the AR predicts in one step.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on attention and MLP outputs.")
    start_from: Path | None = Field(
        default=None, description="Checkpoint whose weights a new run starts from; empty starts from random weights."
    )
    codes_start: Literal["codec", "random"] = Field(
        default="random",
        description="What a new run takes codes for: vectors of its codec, which must be installed, or random ones.",
    )
    sampling: SamplingOptions = Field(
        default=SamplingOptions(),
        description="How its examples are spoken, and its speech wherever nothing else is asked for.",
    )
    seed: int = Field(default=0, ge=0, description="Decides the first weights, the data order and every draw.")

    max_steps: int = Field(
        default=1000, ge=1, description="Optimizer updates in all; the learning rate decays to here."
    )
    max_seconds: float | None = Field(
        default=None, gt=0, description="Save and end after so many seconds, even before the last step."
    )
    batch_tokens: int = Field(default=4096, ge=64, description="Slots of a batch, padding included.")
    accumulate: int = Field(default=1, ge=1, description="Batches per optimizer update and rank.")
    optimizer: Literal["adamw", "schedule-free", "prodigy"] = Field(
        default="adamw", description="schedule-free wants the constant schedule, prodigy a learning_rate of 1."
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="How the learning rate falls after its rise."
    )
    final_learning_rate: float = Field(
        default=0.1, ge=0, le=1, description="Last learning rate, as a share of the peak."
    )
    warmup_steps: int = Field(default=50, ge=0, description="Updates over which the learning rate rises from 0.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decoupled weight decay on matrices.")
    betas: tuple[float, float] = Field(default=(0.9, 0.96), description="Decay rates of AdamW's moments.")
    gradient_clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradient.")
    average_decay: float = Field(
        default=0.0, ge=0, lt=1, description="Speak with a moving average of the weights, 0.999 for instance; 0 is off."
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations twice instead of keeping them: less memory for more arithmetic."
    )

    attention: Literal["sdpa", "flex"] = Field(
        default="sdpa", description="Kernel of attention: sdpa, or flex for long batches on GPUs."
    )

    level_law: LevelLaw = Field(
        default="triangular", description="How often each codebook is the one to predict: triangular, uniform or bell."
    )
    level_weights: tuple[float, ...] | None = Field(
        default=None, description="Weight of each codebook instead of a law, for instance 1 and seven zeros: AR only."
    )
    later_level_law: LevelLaw | None = Field(
        default=None, description="Another law for later epochs; empty keeps the first."
    )
    level_law_changes: tuple[int, int] = Field(
        default=(1, 5), description="Epochs between which the first law becomes the later one."
    )
    masked_share: float = Field(
        default=0.3, ge=0, le=1, description="Share of codebook 0 that is learnt from masks (NAR-len), not by the AR."
    )
    mask_ratio: float = Field(
        default=0.8, ge=0, le=1, description="Share of frames that a NAR-len row hides; 0 draws it for each row."
    )
    continuation_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of rows that go on from the beginning of their own utterance."
    )
    length_share: float = Field(
        default=0.02, ge=0, le=1, description="Share of rows that learn how long a text takes, which NAR-len needs."
    )
    transcription_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of rows that learn the phonemes of what is heard."
    )
    prompt_seconds: tuple[float, float] = Field(
        default=(3.0, 6.0), description="Shortest and longest prompt; a shorter utterance is used whole."
    )
    similar_prompts: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Share of prompts from the clips of the speaker that sound most alike, where `speakers` has run.",
    )
    prompt_dropout: float = Field(default=0.1, ge=0, le=1, description="Share of rows that get no prompt.")
    condition_dropout: float = Field(
        default=0.05, ge=0, le=1, description="Share of rows with neither text nor prompt, which guidance needs."
    )

    engine: Literal["plain", "deepspeed"] = Field(default="plain", description="plain: one process. deepspeed: any.")
    zero_stage: Literal[0, 1, 2, 3] = Field(default=1, description="What DeepSpeed partitions over the ranks.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32",
        description="Arithmetic of the forward pass; weights are kept in fp32. fp16 scales the loss as far as it can.",
    )
    device: str = Field(default="cpu", description="Torch device of the plain engine; DeepSpeed picks its own.")
    threads: int = Field(default=0, ge=0, description="CPU threads of the arithmetic; 0 leaves torch's choice.")
    prefetch: int = Field(default=4, ge=1, description="Batches prepared ahead.")
    cache_megabytes: int = Field(default=256, ge=1, description="Memory for decoded row groups of codes.")

    log_every: int = Field(default=10, ge=1, description="Updates between lines of metrics.")
    evaluate_every: int = Field(default=200, ge=1, description="Updates between evaluations on the dev split.")
    evaluate_batches: int = Field(default=8, ge=1, description="Batches of an evaluation, at most.")
    examples: int = Field(
        default=0,
        ge=0,
        description="Utterances of dev that a checkpoint speaks at each evaluation, into audio/; 0: none.",
    )
    save_every: int = Field(default=500, ge=1, description="Updates between checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, description="Newest checkpoints to keep.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        shortest, longest = self.prompt_seconds
        if not 0 < shortest <= longest:
            raise ValueError(f"prompt_seconds must be two rising positive numbers, not {shortest} and {longest}.")
        shares = self.continuation_share + self.length_share + self.transcription_share
        if shares > 1 or self.prompt_dropout + self.condition_dropout > 1:
            raise ValueError("The shares of tasks, and those of rows without prompt or text, each add up to at most 1.")
        if self.engine == "deepspeed" and (self.optimizer != "adamw" or self.average_decay):
            raise ValueError("DeepSpeed shards weights, so only the plain engine has other optimizers and averages.")
        if self.optimizer == "schedule-free" and self.schedule != "constant":
            raise ValueError("The schedule-free optimizer takes the place of a schedule; set schedule to constant.")
        if self.level_law_changes[0] >= self.level_law_changes[1]:
            raise ValueError(f"level_law_changes must be two rising epochs, not {self.level_law_changes}.")
        if self.engine == "deepspeed" and self.precision != "fp32" and self.zero_stage == 0:
            raise ValueError(
                f"DeepSpeed keeps fp32 weights beside {self.precision} from zero_stage 1 on; choose 1, 2 or 3."
            )
        return self


class TrainOptions(TrainSettings):
    """Options of a training run."""

    training_set: Path = Field(description="Directory of the training set, as `valle select` made it.")
    run_dir: Path = Field(description="Directory of the run: checkpoints and metrics; a run found there is continued.")
    run_id: str = Field(default="", description="Name of the run; empty takes the name of the directory.")

    @property
    def name(self) -> str:
        """The id of the run."""
        return self.run_id or self.run_dir.name
