"""`python -m valle.codec.train --audio DIR ... --run DIR [--hours H]`: train the embedded codec, or go on with it."""

import argparse
import csv
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import torch

from valle.audio import AudioLocation
from valle.codec.options import CodecTrainingOptions
from valle.codec.training import TrainingReport, train_codec
from warehouse.errors import ManifestError

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
LOWEST_RATE = 16_000


def find_clips(directory: Path) -> list[AudioLocation]:
    """Audio below `directory`; where it has a `corpus.tsv`, only rows of split `main` and of 16 kHz or more."""
    table = directory / "corpus.tsv"
    if not table.exists():
        paths = sorted(path for path in directory.rglob("*") if path.suffix in AUDIO_SUFFIXES)
    else:
        with table.open(newline="") as rows:
            paths = [directory / row["file"] for row in csv.DictReader(rows, delimiter="\t") if _is_wanted(row)]
    if not paths:
        raise ManifestError(f"{directory} holds no training audio; name a folder of wav, flac, ogg or mp3 files")
    return [AudioLocation(str(path)) for path in paths]


def _is_wanted(row: dict[str, str]) -> bool:
    return row.get("split", "main") == "main" and int(row.get("native_sr") or LOWEST_RATE) >= LOWEST_RATE


def _show(report: TrainingReport) -> None:
    losses = " ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
    left = f"{report.seconds_left / 60:.0f} min left"
    print(f"step {report.num_steps} {report.stage} {100 * report.progress:.1f}% {left} {losses}", flush=True)  # noqa: T201


def _clips(directories: list[Path]) -> Iterator[AudioLocation]:
    for directory in directories:
        yield from find_clips(directory)


def main() -> None:
    """Parse the command line and train until the schedule or a SIGTERM ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="folders of training audio")
    parser.add_argument("--run", type=Path, required=True, help="where checkpoint, metrics and examples go")
    parser.add_argument("--hours", type=float, default=1.5, help="length of the schedule, all sittings together")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    is_stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopping.set())
    options = CodecTrainingOptions(hours=arguments.hours)
    clips = list(_clips(arguments.audio))
    result = train_codec(options, clips, arguments.run, should_stop=is_stopping.is_set, listener=_show)
    ended = "finished" if result.is_finished else "stopped"
    print(f"{ended} after {result.num_steps} steps and {result.seconds / 3600:.2f} h: {result.checkpoint}")  # noqa: T201


if __name__ == "__main__":
    main()
