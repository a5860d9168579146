"""A stage that raises on one item drops that item alone; an error of the machine stops the shard."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tests.unit.stages.inputs import noise, rows_of, stage_input, work_item
from valle.backends.registry import Backends
from valle.stages.base import NATIVE_RATE, AudioNeed, Drop, Several, Stage, WorkItem
from valle.stages.outcomes import process_batch, stamp
from valle.stages.segment import Segment
from warehouse.catalogue.planning import InputView
from warehouse.errors import DependencyError, PipelineError, StageError
from warehouse.rows import SegmentPayload, SpeakerPayload, SpeakerRow, StageRow


@dataclass(frozen=True)
class Picky(Stage):
    """Embeds items; raises `error` for the ids in `refused`."""

    name: ClassVar[str] = "picky"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = SpeakerRow
    audio: ClassVar[AudioNeed] = NATIVE_RATE  # type: ignore[assignment]
    batch_seconds: ClassVar[float] = 60.0  # type: ignore[assignment]
    revision: ClassVar[str] = "r"  # type: ignore[assignment]

    refused: tuple[str, ...]
    error: Callable[[], Exception]

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[SpeakerPayload | Drop]:
        if any(item.input.id in self.refused for item in items):
            raise self.error()
        return [SpeakerPayload(model=f"of {len(items)}", embedding=[float(item.samples[0])]) for item in items]


def items(count: int) -> list[WorkItem]:
    return [work_item(np.full(16, index, np.float32), id=f"s{index}") for index in range(count)]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (lambda: ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (lambda: RecursionError("too deep"), "RecursionError: too deep"),
        (lambda: OverflowError("int too large"), "OverflowError: int too large"),
        (lambda: AttributeError("no such thing"), "AttributeError: no such thing"),
        (lambda: FileNotFoundError(2, "No such file", "x"), "FileNotFoundError: [Errno 2] No such file: 'x'"),
        (lambda: RuntimeError("y" * 5000), "RuntimeError: " + "y" * 486),
    ],
)
def test_the_item_that_raises_is_dropped_and_its_neighbours_are_processed(
    error: Callable[[], Exception], detail: str
) -> None:
    rows = rows_of(Picky(("s1",), error), items(4), Backends())
    assert [row.segment_id for row in rows] == ["s0", "s1", "s2", "s3"]
    assert [row.drop_reason for row in rows] == [None, "failed", None, None]
    assert rows[1].drop_detail == detail
    assert [row.embedding for row in rows if row.embedding] == [[0.0], [2.0], [3.0]]


def test_without_an_error_a_batch_is_processed_at_once() -> None:
    assert {row.model for row in rows_of(Picky((), ValueError), items(4), Backends())} == {"of 4"}


class AcceleratorError(RuntimeError):
    """Named as torch's error of a device whose later calls all fail."""


@pytest.mark.parametrize(
    "error",
    [
        lambda: OSError(errno.ENOSPC, "No space left on device"),
        lambda: MemoryError(),
        lambda: ModuleNotFoundError("No module named 'codec'"),
        lambda: AcceleratorError("device-side assert"),
        lambda: DependencyError("weights are missing; run `valle doctor`."),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_an_error_of_the_machine_or_its_models_is_raised(error: Callable[[], Exception], count: int) -> None:
    with pytest.raises(PipelineError) as caught:
        process_batch(Picky(("s0",), error), items(count), Backends(), "toy-0")
    if not isinstance(error(), PipelineError):
        assert isinstance(caught.value, StageError)
        assert "picky" in str(caught.value) and "toy-0" in str(caught.value)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_signal_is_no_failure_of_an_item(stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        process_batch(Picky(("s0",), stop), items(2), Backends(), "toy-0")  # type: ignore[arg-type]


def test_the_shared_columns_are_those_of_the_input() -> None:
    (row,) = rows_of(Picky((), ValueError), [work_item(noise(0.1), id="x")], Backends())
    assert (row.segment_id, row.corpus, row.shard, row.fingerprint) == ("x", "toy", "toy-0", "f")


def test_a_dropped_recording_has_a_row_of_segments_under_its_own_id() -> None:
    (row,) = stamp(Segment(), stage_input(id="r"), Drop("silent", "-90 dBFS"))
    assert (row.segment_id, row.recording_id, row.duration) == ("r", "r", None)  # type: ignore[attr-defined]


def test_a_recording_may_have_several_segments_and_drops() -> None:
    span = SegmentPayload(
        segment_id="r_0_1", start=0.0, duration=1.0, start_sample=0, num_samples=1, cut="pause", given_text=None
    )
    rows = stamp(Segment(), stage_input(id="r"), Several((span, Drop("too_short", "0.1 s", span))))
    assert [(row.drop_reason, row.segment_id) for row in rows] == [  # type: ignore[attr-defined]
        (None, "r_0_1"),
        ("too_short", "r_0_1"),
    ]
