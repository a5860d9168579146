"""Batches of codes and phonemes for trainers of others, sampled by Lhotse: `CodesDataset`.

Lhotse cuts with the field `codes`, as `valle select` exports them, are sampled by Lhotse and read here from the lake.
Operations of Lhotse that change a cut without its codes are refused.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lhotse import CutSet, MonoCut
from lhotse.array import TemporalArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from valle.codec.base import Codes
from valle.data.codes_reader import CodesReader
from warehouse.errors import ConfigurationError
from warehouse.lake.store import location_of

if TYPE_CHECKING:
    from warehouse.lake.store import Location

PADDING = -1
"""Fills codes and phonemes behind the end of a row. Lhotse's own collation fills with 0, which is a code."""


class CodesDataset(Dataset[dict[str, Any]]):
    """Maps the cuts of a batch to padded tensors; give it to a DataLoader with `batch_size=None` and a Lhotse sampler.

    `encode` maps phonemes to ids, such as `PhonemeTable(...).encode`; without it rows have no phonemes, and windows of
    cuts are allowed, whose text is that of the whole cut. `cache_megabytes` is the memory for decoded row groups in
    each worker process.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], list[int]] | None = None, *, cache_megabytes: int = 256
    ) -> None:
        self._encode = encode
        self._cache_bytes = cache_megabytes << 20
        # Opened on first use, so that a dataset can be sent to worker processes.
        self._readers: dict[str, CodesReader] = {}

    def __getitem__(self, cuts: CutSet) -> dict[str, Any]:
        """Return ids [B], codes [B, T, K] and num_frames [B]; with `encode` symbols [B, S] and num_symbols [B].

        Frames and symbols behind the end of a row are `PADDING`. Raises ConfigurationError with the id of a cut that
        has no codes of its own (mixed, padded, appended, other speed, volume or rate) or not the text of its span.
        """
        codes = [torch.from_numpy(self.read_codes(cut)) for cut in cuts]
        batch: dict[str, Any] = {
            "ids": [cut.id for cut in cuts],
            "speakers": [cut.supervisions[0].speaker if cut.supervisions else None for cut in cuts],
            "codes": _padded(codes),
            "num_frames": torch.tensor([len(one) for one in codes]),
        }
        if self._encode is not None:
            symbols = [torch.tensor(self._encode(_symbols_of(cut))) for cut in cuts]
            batch["symbols"] = _padded(symbols)
            batch["num_symbols"] = torch.tensor([len(one) for one in symbols])
        return batch

    def read_codes(self, cut: MonoCut) -> Codes:
        """Read the codes [T, K] of the span of a cut.

        Both ends are rounded to frames, so adjacent windows share no frame and lose none. Lhotse rounds the start and
        the length: a frame may be in two windows, or in none.
        """
        array = _codes_of(cut)
        # Rounded first: the end of a window and the start of the next differ in their last bits.
        edges = (round((time - array.start) / array.frame_shift, 3) for time in (cut.start, cut.start + cut.duration))
        first, last = (int(edge + 0.5) for edge in edges)
        group, row = (int(number) for number in array.array.storage_key.split(":"))
        path = location_of(array.array.storage_path)
        length, num_codebooks = array.shape
        codes = self._reader(path.parent).read(
            path.name, group, row, num_codebooks=num_codebooks, start=max(first, 0), stop=min(last, length)
        )
        # A copy, since several rows of a batch may be of one decoded row group.
        return codes.T.astype("int64")

    def _reader(self, folder: "Location") -> CodesReader:
        return self._readers.setdefault(str(folder), CodesReader(folder, cache_bytes=self._cache_bytes))


def _codes_of(cut: Any) -> TemporalArray:
    if not isinstance(cut, MonoCut) or (cut.recording is not None and cut.recording.transforms):
        raise ConfigurationError(
            f"The cut {cut.id} is mixed, padded, appended, or changed in speed, volume or rate, and its codes are "
            "those of the recording as it was; leave such cuts out, or quantize their audio."
        )
    array = (cut.custom or {}).get("codes")
    if not isinstance(array, TemporalArray):
        raise ConfigurationError(f"The cut {cut.id} has no field `codes`; export cuts by `valle select`.")
    return array


def _symbols_of(cut: MonoCut) -> Sequence[str]:
    only = cut.supervisions[0] if len(cut.supervisions) == 1 else None
    symbols = None if only is None else (only.custom or {}).get("symbols")
    if only is None or symbols is None:
        raise ConfigurationError(f"The cut {cut.id} has no single supervision with `symbols`; select it by its text.")
    # A frame of room: the end of a segment is rounded to samples, that of a cut is not.
    room = _codes_of(cut).frame_shift
    if only.start < -room or only.end > cut.duration + room:
        raise ConfigurationError(
            f"The cut {cut.id} is a part of its text; give it a supervision with the words of its span, or read codes "
            "alone (`CodesDataset()`)."
        )
    return list(symbols)


def _padded(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=PADDING)
