"""Metrics of a run: sums over a window of steps, written as JSON lines."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from valle.model.batch import Batch
from valle.model.loss import LossReport
from valle.tasks.registry import TASKS, TaskRegistry
from warehouse.errors import StorageError
from warehouse.files import atomic_write


@dataclass(slots=True)
class Sums:
    """Summed loss in nats, labels among the ten likeliest outputs, and labels."""

    loss: float = 0.0
    hits: float = 0.0
    count: float = 0.0

    def add(self, other: "Sums") -> None:
        """Add other sums."""
        self.loss += other.loss
        self.hits += other.hits
        self.count += other.count

    @property
    def mean_loss(self) -> float | None:
        """Return the loss in nats per label; None without labels."""
        return round(self.loss / self.count, 5) if self.count else None

    @property
    def top10(self) -> float | None:
        """Return the fraction of labels among the ten likeliest outputs; None without labels."""
        return round(self.hits / self.count, 5) if self.count else None


_BY_CODEBOOK: Mapping[str, Callable[[Sums], float | None]] = MappingProxyType(
    {"loss": lambda sums: sums.mean_loss, "top10": lambda sums: sums.top10}
)


@dataclass(slots=True)
class Window:
    """Sums over the steps since the last line of metrics."""

    sums: dict[tuple[str, int], Sums] = field(default_factory=dict)  # by name of the loss and head
    tokens: int = 0
    slots: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0
    norms: list[float] = field(default_factory=list)
    loads: list[list[float]] = field(default_factory=list)  # of the experts, by batch

    def add(self, report: LossReport, batch: Batch, tasks: TaskRegistry = TASKS) -> None:
        """Add a batch and its loss."""
        name = tasks.task_of(report.layout).loss_name(report.layout)
        rows = zip(report.losses.tolist(), report.hits.tolist(), report.counts.tolist(), strict=True)
        for head, (loss, hits, count) in enumerate(rows):
            # Heads that had no label must not appear with a loss of 0.
            if count:
                self.sums.setdefault((name, head), Sums()).add(Sums(loss, hits, count))
        if report.load is not None:
            self.loads.append(report.load.tolist())
        self.tokens += batch.num_tokens
        self.slots += batch.num_slots

    def quality(self, prefix: str = "") -> dict[str, Any]:
        """Compute mean loss in nats, overall, and with top-10 accuracy per loss name and codebook.

        Codebooks are those of the NAR, and of other losses of whole frames: these have a head of codebook 1.
        """
        whole = {name for name, head in self.sums if head == 1} - {"nar"}
        overall, by_name = Sums(), {name: Sums() for name in ("ar", "nar")}
        for (name, _), sums in sorted(self.sums.items()):
            overall.add(sums)
            by_name.setdefault(name, Sums()).add(sums)
        return {
            f"{prefix}loss": overall.mean_loss,
            **{f"{prefix}loss_{name}": sums.mean_loss for name, sums in by_name.items()},
            **{f"{prefix}top10_{name}": sums.top10 for name, sums in by_name.items()},
            **{
                f"{prefix}{measure}_{wanted}_by_codebook": {
                    str(head): read(sums) for (name, head), sums in sorted(self.sums.items()) if name == wanted
                }
                for wanted in ("nar", *sorted(whole))
                for measure, read in _BY_CODEBOOK.items()
            },
        }

    def experts(self) -> dict[str, Any]:
        """Return the mean load of each expert, and the largest in units of an even one; nothing without experts."""
        if not self.loads:
            return {}
        load = [sum(column) / len(self.loads) for column in zip(*self.loads, strict=True)]
        return {"expert_load": [round(x, 4) for x in load], "largest_expert_load": round(max(load) * len(load), 3)}

    def speed(self) -> dict[str, Any]:
        """Compute throughput, padding, the fraction of time spent waiting for data, and the mean gradient norm."""
        return {
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "padding": round(1 - self.tokens / max(self.slots, 1), 5),
            "waited_for_data": round(self.waited / max(self.seconds, 1e-9), 4),
            "gradient_norm": round(sum(self.norms) / len(self.norms), 5) if self.norms else None,
        }


class MetricsFile:
    """`metrics.jsonl` of a run. Opening it at a step removes later lines, which a resumed run writes again."""

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line. Raises StorageError when it cannot be written."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written ({error.strerror}); free space on its disk and start the run again, "
                "which continues from its last checkpoint."
            ) from error


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")  # the last line of a killed run may be cut off
