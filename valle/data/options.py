"""Options of the rows of an epoch: the training mix, the codebook schedule and the prompts."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from valle.data.codebook_schedule import CodebookSchedule, ScheduleName, codebook_weights
from valle.tasks.registry import TASKS, TaskOptions

Weight = Annotated[float, Field(ge=0, le=1e6)]
Epoch = Annotated[int, Field(ge=0, le=1_000_000)]
PromptSeconds = Annotated[float, Field(gt=0, le=3_600)]


class RowOptions(TaskOptions):
    """Options of the rows of an epoch, independent of the model and of the size of its batches."""

    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Fixes the initial weights, the order of the data and every draw."
    )
    codebook_schedule: ScheduleName = Field(
        default="triangular", description="How often each codebook is the target: triangular, uniform or bell."
    )
    codebook_weights: tuple[Weight, ...] | None = Field(
        default=None,
        description="Weight of each codebook instead of a schedule, for instance 1 and seven zeros: AR only.",
    )
    later_codebook_schedule: ScheduleName | None = Field(
        default=None, description="Another schedule for later epochs; empty keeps the first."
    )
    codebook_schedule_epochs: tuple[Epoch, Epoch] = Field(
        default=(1, 5), description="Epochs between which the first schedule is blended into the later one."
    )
    mask_ratio: float = Field(
        default=0.8, ge=0, le=1, description="Ratio of frames that a NAR-len row hides; 0 draws it for each row."
    )
    prompt_seconds: tuple[PromptSeconds, PromptSeconds] = Field(
        default=(3.0, 6.0), description="Shortest and longest prompt; of a shorter utterance all of it is used."
    )
    similar_prompt_ratio: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Ratio of prompts from the speaker's most similar utterances, where `speakers` has run.",
    )
    prompt_dropout: float = Field(default=0.1, ge=0, le=1, description="Ratio of rows without a prompt.")
    condition_dropout: float = Field(
        default=0.05, ge=0, le=1, description="Ratio of rows with neither text nor prompt, which guidance needs."
    )

    def make_codebook_schedule(self, num_codebooks: int) -> CodebookSchedule:
        """Build the schedule for a codec. Raises ConfigurationError for a wrong number of weights."""
        early = codebook_weights(self.codebook_weights or self.codebook_schedule, num_codebooks)
        if self.later_codebook_schedule is None:
            return CodebookSchedule(early, early)
        late = codebook_weights(self.later_codebook_schedule, num_codebooks)
        return CodebookSchedule(early, late, *self.codebook_schedule_epochs)

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        shortest, longest = self.prompt_seconds
        if not 0 < shortest <= longest:
            raise ValueError(f"prompt_seconds must be two rising positive numbers, not {shortest} and {longest}.")
        if sum(TASKS.ratios(self)) > 1 or self.prompt_dropout + self.condition_dropout > 1:
            raise ValueError("The ratios of tasks, and the two dropouts, must each add up to at most 1.")
        if self.codebook_schedule_epochs[0] >= self.codebook_schedule_epochs[1]:
            raise ValueError(
                f"codebook_schedule_epochs must be two rising epochs, not {self.codebook_schedule_epochs}."
            )
        return self
