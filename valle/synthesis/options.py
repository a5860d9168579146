"""How speech is sampled. Prefect and the command line show this model as it is."""

from pydantic import BaseModel, ConfigDict, Field


class SamplingOptions(BaseModel):
    """Options of one utterance to be spoken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, ge=0, description="Of codebook 0; 0 takes the likeliest code.")
    top_k: int = Field(default=0, ge=0, description="Draw codebook 0 from the k likeliest codes; 0 from all.")
    top_p: float = Field(
        default=1.0, gt=0, le=1, description="Draw codebook 0 from the likeliest codes that together reach this share."
    )
    repetition_penalty: float = Field(
        default=1.0, ge=1, description="Divides the odds of codes of the last frames, once per occurrence; 1 is off."
    )
    repetition_window: int = Field(default=75, ge=1, description="Frames that the repetition penalty looks back.")
    nar_temperature: float = Field(default=0.0, ge=0, description="Of the other codebooks; 0 takes the likeliest.")
    seed: int = Field(default=0, ge=0, description="Fixes every draw.")
    max_seconds: float = Field(default=20.0, gt=0, description="Longest speech; what has no end by then is cut.")
    continues_prompt: bool = Field(
        default=False,
        description="Go on from the prompt as if one speaker spoke both texts; needs the prompt's own phonemes.",
    )
