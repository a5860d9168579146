"""The result of mending the header of an audio file."""

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class MendedHeader:
    """The audio behind a header that declares all of it, and the samples that its own header declares, if any."""

    file: BinaryIO
    declared_samples: int | None = None
