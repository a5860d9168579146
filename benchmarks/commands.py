"""CPU seconds of whole commands, user and system, children included: `python benchmarks/commands.py`.

Each command runs in a process of its own, twice, and the smaller figure counts. The ratio to `python -c "import torch"`
in the same run compares machines; the bounds are CPU seconds.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures import report
from prepare import copy_clips

_VALLE = "import sys; from valle.cli import main; sys.exit(main())"
_QUICK = ("--stages.transcribe.no-check-given", "--stages.quality.scorers", "[]")


def cpu_seconds(*arguments: str, repeats: int = 2) -> float:
    """CPU seconds of `python ARGUMENTS` and its children, the smallest of `repeats`."""
    found = []
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def valle(*arguments: str, repeats: int = 2) -> float:
    """CPU seconds of `valle ARGUMENTS`."""
    return cpu_seconds("-c", _VALLE, *arguments, repeats=repeats)


def measure(folder: Path, clips: int) -> dict[str, tuple[float, float]]:
    """Measure every command; CPU seconds and their bound by name."""
    copy_clips(folder / "clips", clips)
    data = ("--data", str(folder / "data"))
    kind = ("--corpus.kind", "folder", "--corpus.root", str(folder / "clips"), "--corpus.name", "clips")
    corpus = (*kind, "--corpus.options.language", "en", *data)
    found = {
        "valle speak --help": (valle("speak", "--help"), 0.7),
        f"valle data ingest, {clips} clips": (valle("data", "ingest", *corpus, repeats=1), 6.0),
    }
    valle("prepare", *corpus, *_QUICK, repeats=1)
    found["valle prepare, nothing to do"] = (valle("prepare", *corpus, *_QUICK), 5.0)
    found['valle sql "select 1"'] = (valle("sql", "select 1", *data), 0.6)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24)
    options = parser.parse_args(arguments)
    torch = cpu_seconds("-c", "import torch")
    print(f"load {os.getloadavg()[0]:.1f}; `import torch` {torch:.2f} CPU s")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.clips)
    held = [report(f"{name}, CPU s", seconds, bound, at_least=False) for name, (seconds, bound) in found.items()]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
