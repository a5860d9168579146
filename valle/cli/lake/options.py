"""Options that all commands about the lake have."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.data_root import DataRoot, open_data_root


class LakeOptions(BaseModel):
    """Options of a command about the lake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""

    @property
    def data_root(self) -> DataRoot:
        """The folders below the data root."""
        return open_data_root(self.data)
