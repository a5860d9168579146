"""Stop a training of several ranks as a cancellation does."""

import signal
import subprocess
from pathlib import Path

from valle.checkpoints.checkpoint import CheckpointCard, read_card
from valle.checkpoints.runs import latest_checkpoint


def stop_after_two_steps(run: "subprocess.Popen[str]", directory: Path) -> CheckpointCard:
    """Send SIGTERM after the second update, and return the card of the checkpoint that is left."""
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if line.startswith("step 2/"):
            break
    run.send_signal(signal.SIGTERM)
    lines += list(run.stdout)
    assert run.wait(300) == 0, "".join(lines)
    assert any(line.startswith("signal at step") for line in lines)
    checkpoint = latest_checkpoint(directory)
    assert checkpoint is not None
    return read_card(checkpoint)
