"""Options of adapters, and patterns of the names of parameters; torch is not imported here."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from warehouse.errors import ConfigurationError


class LoraOptions(BaseModel):
    """Options of a low-rank adapter (Hu et al., arXiv 2106.09685)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=0, ge=0, le=4096, description="Rank of the adapter; 0 trains the weights themselves.")
    alpha: float = Field(
        default=0.0, ge=0, le=1e6, description="Scale times rank of what the adapter adds; 0 is the rank."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on the input of the adapter in training.")
    targets: tuple[str, ...] = Field(
        default=("trunk.*",), description="Names of the linear layers that it adapts; * stands for any text."
    )
    codebooks: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="Codebooks whose rows it adapts, none for all rows; durations are left alone then."
    )
    embeddings: bool = Field(default=False, description="Also adapt the tables of ids and codes, in full rank.")

    @property
    def scale(self) -> float:
        """Return the factor on the product of both matrices."""
        return (self.alpha or self.rank) / self.rank

    @model_validator(mode="after")
    def _tables_have_no_codebook(self) -> Self:
        if self.embeddings and self.codebooks:
            raise ValueError("Tables serve rows of every codebook; leave out lora.embeddings or lora.codebooks.")
        return self


def match_names(names: Iterable[str], patterns: Sequence[str], what: str) -> list[str]:
    """Return the names that match any pattern, in order.

    Raises ConfigurationError for a pattern that matches none, which is a misspelling.
    """
    names = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigurationError(f"No {what} has a name like {pattern!r}; the names are those of {names[:3]} ...")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
