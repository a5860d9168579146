"""Architecture of a model: the kind of its layers and what one pass of it predicts. Any size can have any of them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TrunkName = Literal["llama", "transformer", "retnet", "mixtral", "bitnet", "mamba"]
RouterName = Literal["linear", "cosine"]
RECURRENT = ("retnet", "mamba")
"""Trunks with a state instead of a cache."""


class Architecture(BaseModel):
    """Kind of the layers of a model, and the output of one pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: TrunkName = Field(
        default="llama", description="Kind of the layers: llama, transformer, retnet, mixtral, bitnet or mamba."
    )
    experts: int = Field(
        default=0, ge=0, le=64, description="MLPs of a layer of mixtral or retnet, two of which compute a slot; 0: one."
    )
    router_loss: float = Field(default=0.01, ge=0, le=1e6, description="Weight of the loss for unevenly used experts.")
    router: RouterName = Field(default="linear", description="How experts are scored: linear, or cosine as in X-MoE.")
    kv_heads: int = Field(default=0, ge=0, description="Heads of keys and values, a divisor of heads; 0: as many.")
    lookahead: int = Field(
        default=0, ge=0, le=8, description="Heads that guess groups after the next one, for fewer steps; 0: none."
    )
    group: int = Field(default=1, ge=1, le=8, description="Frames of codebook 0 that the AR predicts in one step.")
    whole_frames: bool = Field(
        default=False,
        description="Predict every codebook of a frame in one pass; codebook_schedule then weighs their losses.",
    )
    max_context: int = Field(
        default=0, ge=0, description="Frames of its own output that the AR attends to, beside the condition; 0: all."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on attention and MLP outputs.")

    @property
    def problem(self) -> str | None:
        """Return which options exclude each other, in one sentence; None for none."""
        is_recurrent = self.trunk in RECURRENT
        problems = (
            (
                self.experts == 1 or (self.trunk == "mixtral" and not self.experts),
                f"A router of the trunk {self.trunk} needs two experts at least; set experts, such as 8.",
            ),
            (
                self.experts > 0 and self.trunk not in ("mixtral", "retnet"),
                f"The trunk {self.trunk} has no experts; leave experts at 0.",
            ),
            (
                self.lookahead > 0 and is_recurrent,
                f"The trunk {self.trunk} cannot take frames back; set lookahead to 0.",
            ),
            (
                self.whole_frames and (self.group > 1 or self.lookahead > 0),
                "A model of whole frames predicts one frame a step; set group to 1 and lookahead to 0.",
            ),
            (
                self.max_context > 0 and is_recurrent,
                f"The trunk {self.trunk} has a state in place of a context; leave max_context at 0.",
            ),
            (
                self.max_context > 0 and self.lookahead > 0,
                "A bounded context cannot bring back what it dropped for wrong guesses; set lookahead or max_context "
                "to 0.",
            ),
            (
                0 < self.max_context < self.group,
                f"A context of {self.max_context} frames has no group of {self.group}; set max_context to "
                f"{self.group} at least.",
            ),
        )
        return next((sentence for is_given, sentence in problems if is_given), None)


DEFAULT_ARCHITECTURE = Architecture()
