"""`valle ... | head`."""

import subprocess
import sys
from pathlib import Path

COMMAND = "import sys, valle.cli; sys.exit(valle.cli.main(sys.argv[1:]))"


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    table = tmp_path / "scores.tsv"
    lines = [f"ann-1-{number}\t0\tone two\tone two\t0.5" for number in range(10)]
    table.write_text("utterance\ttrial\treference\thypothesis\tsim_o\n" + "\n".join(lines) + "\n")
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "evaluate", "aggregate", str(table), "--normaliser", "zip-ls"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(120) == 141
