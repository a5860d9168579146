"""Numbers of a run: sums over a window of steps, and the JSON lines they become."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from valle.model import Batch, LossReport


@dataclass(slots=True)
class Window:
    """Sums over the steps since the last line of metrics; the one mutable thing here."""

    losses: torch.Tensor
    hits: torch.Tensor
    counts: torch.Tensor
    tokens: int = 0
    slots: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0
    norms: list[float] = field(default_factory=list)

    @classmethod
    def empty(cls, num_levels: int) -> "Window":
        """A window that has seen nothing."""
        losses, hits, counts = torch.zeros(3, num_levels, dtype=torch.float64)
        return cls(losses, hits, counts)

    def add(self, report: LossReport, batch: Batch) -> None:
        """Count one batch."""
        seen = len(report.counts)
        self.losses[:seen] += report.losses.cpu()
        self.hits[:seen] += report.hits.cpu()
        self.counts[:seen] += report.counts.cpu()
        self.tokens += batch.num_tokens
        self.slots += batch.num_slots

    def quality(self, prefix: str = "") -> dict[str, Any]:
        """Mean loss in nats and top-10 accuracy, over all and for AR and NAR codebooks; null for what was not seen."""
        return {
            f"{prefix}loss": _share(self.losses, self.counts),
            f"{prefix}loss_ar": _share(self.losses[:1], self.counts[:1]),
            f"{prefix}loss_nar": _share(self.losses[1:], self.counts[1:]),
            f"{prefix}top10_ar": _share(self.hits[:1], self.counts[:1]),
            f"{prefix}top10_nar": _share(self.hits[1:], self.counts[1:]),
            f"{prefix}top10_by_level": [
                _share(self.hits[k : k + 1], self.counts[k : k + 1]) for k in range(len(self.counts))
            ],
        }

    def speed(self) -> dict[str, Any]:
        """Throughput, padding and the share of time the model waited for data."""
        return {
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "padding": round(1 - self.tokens / max(self.slots, 1), 5),
            "waited_for_data": round(self.waited / max(self.seconds, 1e-9), 4),
            "gradient_norm": round(sum(self.norms) / len(self.norms), 5) if self.norms else None,
        }


def _share(part: torch.Tensor, whole: torch.Tensor) -> float | None:
    count = float(whole.sum())
    return round(float(part.sum()) / count, 5) if count else None


class MetricsFile:
    """`metrics.jsonl` of a run. Opening it at a step forgets later lines, which a resumed run writes again."""

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")  # the last line of a killed run may be cut off
