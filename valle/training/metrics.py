"""Numbers of a run: sums over a window of steps, and the JSON lines they become."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valle.model import Batch, Layout, LossReport
from valle.model.layout import Head


@dataclass(slots=True)
class Sums:
    """Summed loss in nats, labels among the ten likeliest outputs, and labels."""

    loss: float = 0.0
    hits: float = 0.0
    count: float = 0.0

    def add(self, other: "Sums") -> None:
        """Add the sums of another."""
        self.loss += other.loss
        self.hits += other.hits
        self.count += other.count

    @property
    def mean_loss(self) -> float | None:
        """Nats per label; None where nothing was seen."""
        return round(self.loss / self.count, 5) if self.count else None

    @property
    def top10(self) -> float | None:
        """Share of labels among the ten likeliest outputs; None where nothing was seen."""
        return round(self.hits / self.count, 5) if self.count else None


def kind_of(layout: Layout) -> str:
    """Under which name the loss of a layout is reported: speech by its mode, everything else by its task."""
    return str(layout.mode if layout.head in (Head.CODES, Head.MASKED) else layout.task).replace("-", "_")


@dataclass(slots=True)
class Window:
    """Sums over the steps since the last line of metrics; the one mutable thing here."""

    parts: dict[tuple[str, int], Sums] = field(default_factory=dict)  # by kind and level
    tokens: int = 0
    slots: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    steps: int = 0
    norms: list[float] = field(default_factory=list)

    def add(self, report: LossReport, batch: Batch) -> None:
        """Count one batch."""
        kind = kind_of(report.layout)
        rows = zip(report.losses.tolist(), report.hits.tolist(), report.counts.tolist(), strict=True)
        for level, (loss, hits, count) in enumerate(rows):
            if count:
                self.parts.setdefault((kind, level), Sums()).add(Sums(loss, hits, count))
        self.tokens += batch.num_tokens
        self.slots += batch.num_slots

    def quality(self, prefix: str = "") -> dict[str, Any]:
        """Mean loss in nats and top-10 accuracy: over all, for each kind that was seen, for each level of the NAR."""
        everything, kinds = Sums(), {kind: Sums() for kind in ("ar", "nar")}
        for (kind, _), sums in sorted(self.parts.items()):
            everything.add(sums)
            kinds.setdefault(kind, Sums()).add(sums)
        return {
            f"{prefix}loss": everything.mean_loss,
            **{f"{prefix}loss_{kind}": sums.mean_loss for kind, sums in kinds.items()},
            **{f"{prefix}top10_{kind}": sums.top10 for kind, sums in kinds.items()},
            f"{prefix}top10_nar_by_level": {
                str(level): sums.top10 for (kind, level), sums in sorted(self.parts.items()) if kind == "nar"
            },
        }

    def speed(self) -> dict[str, Any]:
        """Throughput, padding and the share of time the model waited for data."""
        return {
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "padding": round(1 - self.tokens / max(self.slots, 1), 5),
            "waited_for_data": round(self.waited / max(self.seconds, 1e-9), 4),
            "gradient_norm": round(sum(self.norms) / len(self.norms), 5) if self.norms else None,
        }


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
