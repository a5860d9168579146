"""Options of a training run. Prefect shows them as a form, and their JSON starts `python -m valle.training`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from valle.data.options import RowOptions
from valle.model.adapters.options import LoraOptions
from valle.model.architecture import Architecture
from valle.model.names import KernelName
from valle.synthesis.options import SamplingOptions

Beta = Annotated[float, Field(ge=0, lt=1)]
OptimizerName = Literal[
    "adamw",
    "schedule-free",
    "prodigy",
    "d-adaptation",
    "muon",
    "adafactor",
    "sgd",
    "adamw-8bit",
    "apollo",
    "apollo-mini",
]


class DistillationOptions(BaseModel):
    """A trained model whose outputs a run learns beside the labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: Path | None = Field(default=None, description="Checkpoint, or name of a run, that teaches; empty: none.")
    alpha: float = Field(default=0.5, ge=0, le=1, description="Weight of the labels; the rest is the teacher's.")
    temperature: float = Field(default=1.0, gt=0, le=100, description="Divides the logits of both before kl.")
    loss: Literal["kl", "mse"] = Field(default="kl", description="Distance of the distributions, or of the logits.")


class SizeOptions(BaseModel):
    """The size of the model."""

    model: str = Field(
        default="tiny",
        description="Size of the model: nano, tiny, 7m, 20m or 220m; with start_from it is that of the checkpoint.",
    )
    depth: int = Field(default=0, ge=0, le=200, description="Layers, in place of those of the size; 0: as it has.")
    feed_forward: int = Field(
        default=0, ge=0, description="Hidden size of the MLPs, in place of that of the size; 0: as it has."
    )


class ModelOptions(Architecture, SizeOptions):
    """The model and its initial weights."""

    start_from: Path | None = Field(
        default=None,
        description="Checkpoint, or name of a run, whose weights initialize a new run; empty starts from random ones.",
    )
    embeddings_from: Path | None = Field(
        default=None,
        description="Checkpoint, or name of a run of the same width, whose tables of ids and codes a new run takes.",
    )
    distillation: DistillationOptions = Field(
        default=DistillationOptions(), description="Learning from the outputs of a trained model."
    )
    lora: LoraOptions = Field(
        default=LoraOptions(), description="Low-rank adapter that is trained in place of the weights of start_from."
    )
    freeze: tuple[str, ...] = Field(
        default=(), description="Names of parameters that stay as they are, such as trunk.*; * stands for any text."
    )
    init_code_embeddings: Literal["codec", "random"] = Field(
        default="random",
        description="Initial embeddings of codes: from the vectors of the codec, which must be installed, or random.",
    )
    sampling: SamplingOptions = Field(
        default=SamplingOptions(),
        description="Default sampling options of its checkpoints; left open, those of start_from.",
    )


class OptimizerOptions(BaseModel):
    """Length of the run, batches, optimizer and learning rate."""

    max_steps: int = Field(
        default=1000,
        ge=1,
        le=1_000_000_000,
        description="Optimizer updates in all; the learning rate decays until then.",
    )
    max_seconds: float | None = Field(
        default=None, gt=0, le=1e9, description="Save and end after this many seconds, even before the last step."
    )
    batch_tokens: int = Field(default=4096, ge=64, le=1 << 24, description="Slots of a batch, padding included.")
    accumulate: int = Field(default=1, ge=1, le=1_000_000, description="Batches per optimizer update and rank.")
    optimizer: OptimizerName = Field(
        default="adamw",
        description="adamw, schedule-free (with the constant schedule), prodigy and d-adaptation (with a learning_rate "
        "of 1), muon, adafactor, sgd, and with less memory adamw-8bit, apollo and apollo-mini.",
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=100, description="Peak learning rate.")
    schedule: Literal["cosine", "linear", "constant", "one-cycle", "noam"] = Field(
        default="cosine", description="Decay of the learning rate after its warm-up."
    )
    final_learning_rate: float = Field(
        default=0.1, ge=0, le=1, description="Final learning rate, as a fraction of the peak."
    )
    warmup_steps: int = Field(
        default=50, ge=0, le=1_000_000_000, description="Updates over which the learning rate rises from 0."
    )
    weight_decay: float = Field(default=0.01, ge=0, le=100, description="Decoupled weight decay on matrices.")
    betas: tuple[Beta, Beta] = Field(default=(0.9, 0.96), description="Decay rates of AdamW's moments.")
    gradient_clip: float = Field(default=1.0, gt=0, le=1e6, description="Largest norm of the gradient.")
    average_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, such as 0.999, that checkpoints hold; "
        "0 is off.",
    )


class ComputeOptions(BaseModel):
    """Engine, precision, device and memory."""

    gradient_checkpointing: bool = Field(
        default=False, description="Recompute activations instead of storing them: less memory, more arithmetic."
    )
    attention: KernelName = Field(
        default="sdpa",
        description="Kernel of attention: sdpa, matmul for bf16 on CPUs, flex for long batches on GPUs, the packages "
        "flash-attn or xformers, fla for retnet and mamba, or one of the kernels that sdpa chooses from.",
    )
    compile: bool = Field(
        default=False, description="Compile the trunk with torch.compile: minutes first, then faster steps on GPUs."
    )
    engine: Literal["plain", "deepspeed"] = Field(default="plain", description="plain: one process. deepspeed: any.")
    processes: int = Field(
        default=1, ge=1, le=1024, description="Ranks of a machine, one per GPU; more than one needs deepspeed."
    )
    nodes: str = Field(
        default="",
        description="Machines of the run: a hostfile with lines of HOST slots=RANKS, or slurm for those of the job; "
        "empty: this one.",
    )
    zero_stage: Literal[0, 1, 2, 3] = Field(default=1, description="What DeepSpeed partitions over the ranks.")
    deepspeed_config: Path | None = Field(
        default=None,
        description="JSON file with further keys of DeepSpeed, such as those of offloading; empty: none.",
    )
    precision: Literal["fp32", "bf16", "fp16", "fp8"] = Field(
        default="fp32",
        description="Arithmetic of the forward pass; weights stay fp32. fp16 scales the loss dynamically; fp8 needs a "
        "GPU of 2023 or later and torchao, and is bf16 outside the trunk.",
    )
    device: str = Field(default="cpu", description="Torch device of the plain engine; DeepSpeed chooses its own.")
    threads: int = Field(default=0, ge=0, le=1024, description="CPU threads; 0 leaves the choice to torch.")
    prefetch: int = Field(default=4, ge=1, le=1024, description="Batches prepared ahead.")
    cache_megabytes: int = Field(default=256, ge=1, le=1_000_000, description="Memory for decoded row groups of codes.")
    disk_cache_gigabytes: float = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Disk beside the training set for decoded codes that the memory does not hold.",
    )


class ReportOptions(BaseModel):
    """Metrics, evaluations, examples and checkpoints."""

    log_every: int = Field(default=10, ge=1, le=1_000_000_000, description="Updates between lines of metrics.")
    evaluate_every: int = Field(
        default=200, ge=1, le=1_000_000_000, description="Updates between evaluations on the dev split."
    )
    evaluate_batches: int = Field(default=8, ge=1, le=1_000_000, description="Batches of an evaluation, at most.")
    examples: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Utterances of dev that are synthesized at each evaluation, into audio/ of the run; 0: none.",
    )
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = Field(
        default=(), description="Where metrics are written beside metrics.jsonl: tensorboard, wandb (offline), mlflow."
    )
    profile_steps: int = Field(
        default=0, ge=0, le=1000, description="Updates that torch's profiler traces, into profile/ of the run; 0: none."
    )
    save_every: int = Field(default=500, ge=1, le=1_000_000_000, description="Updates between checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, le=1_000_000, description="Newest checkpoints to keep.")


# Fields of the last base come first, as in the form: model, optimizer, data, compute, reports.
class TrainSettings(ReportOptions, ComputeOptions, RowOptions, OptimizerOptions, ModelOptions):
    """Options of a training run, apart from its training set and directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.engine == "deepspeed" and (self.optimizer != "adamw" or self.average_decay):
            raise ValueError(
                "DeepSpeed shards the weights, so only the plain engine has other optimizers and averages."
            )
        if self.deepspeed_config is not None and self.engine != "deepspeed":
            raise ValueError("A configuration of DeepSpeed needs the engine deepspeed; leave out deepspeed_config.")
        if self.processes > 1 and self.engine != "deepspeed":
            raise ValueError("Several processes need the engine deepspeed; set engine to it, or processes to 1.")
        if self.nodes and self.engine != "deepspeed":
            raise ValueError("Several nodes need the engine deepspeed; set engine to it, or leave out nodes.")
        if self.lora.rank and self.start_from is None:
            raise ValueError("An adapter needs weights to adapt; set start_from to a checkpoint or a run.")
        if self.lora.rank and self.freeze:
            raise ValueError("An adapter freezes every weight; leave out freeze.")
        if self.engine == "deepspeed" and (self.lora.rank or self.freeze):
            raise ValueError("DeepSpeed trains every weight; adapters and frozen weights need the plain engine.")
        if self.engine == "deepspeed" and self.precision == "fp8":
            raise ValueError("DeepSpeed has no fp8 here; choose the plain engine or another precision.")
        if self.engine == "deepspeed" and self.distillation.teacher is not None:
            raise ValueError("DeepSpeed shards the student alone; a teacher needs the plain engine.")
        if self.start_from is not None and self.embeddings_from is not None:
            raise ValueError("start_from has tables of its own; leave out embeddings_from.")
        if self.optimizer == "schedule-free" and self.schedule != "constant":
            raise ValueError("The schedule-free optimizer replaces the schedule; set schedule to constant.")
        if self.engine == "deepspeed" and self.precision != "fp32" and self.zero_stage == 0:
            raise ValueError(
                f"DeepSpeed has fp32 weights beside {self.precision} from zero_stage 1 on; choose 1, 2 or 3."
            )
        return self


class TrainOptions(TrainSettings):
    """Options of a training run."""

    training_set: Path = Field(description="Directory of the training set, as `valle select` made it.")
    run_dir: Path = Field(description="Directory of checkpoints and metrics; a run found there is continued.")
    run_id: str = Field(default="", description="Name of the run; empty uses the name of the directory.")

    @property
    def name(self) -> str:
        """Return the id of the run."""
        return self.run_id or self.run_dir.name


def locate_checkpoints(options: TrainSettings, find: Callable[[str], Path]) -> TrainSettings:
    """Return the options with the directories of the checkpoints that they name; `find` returns that of a run."""

    def located(given: Path | None) -> Path | None:
        return given if given is None or given.is_dir() else find(str(given))

    return options.model_copy(
        update={
            "start_from": located(options.start_from),
            "embeddings_from": located(options.embeddings_from),
            "distillation": options.distillation.model_copy(update={"teacher": located(options.distillation.teacher)}),
        }
    )
