"""The trainer as the flow starts it: a child process that takes an order and can be told to stop."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from valle.audio import Audio, AudioLocation, write_audio
from valle.codec.mini.weights_file import EMBEDDED
from valle.codec_training.__main__ import TrainingOrder
from valle.codec_training.options import CodecTrainingOptions


@pytest.fixture
def order(tmp_path):
    tone = 0.2 * np.sin(2 * np.pi * 150 * np.arange(48_000) / 24_000)
    write_audio(tmp_path / "tone.wav", Audio(tone.astype(np.float32), 24_000))
    return TrainingOrder(
        run_directory=tmp_path / "run",
        clips=(AudioLocation(str(tmp_path / "tone.wav")),),
        options=CodecTrainingOptions(
            hours=1.0, start_from=EMBEDDED, repulsion=0.1, speeds=(0.9, 1.1), learning_rate=1e-4
        ),
        threads=1,
    )


def test_an_order_is_the_same_after_a_file(order):
    assert TrainingOrder.model_validate_json(order.model_dump_json()) == order


def start(order, tmp_path):
    path = tmp_path / "order.json"
    path.write_text(order.model_dump_json())
    command = [sys.executable, "-m", "valle.codec_training", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_sigterm_saves_a_checkpoint_and_ends(order, tmp_path):
    process = start(order, tmp_path)
    while not (tmp_path / "run" / "options.json").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "stopped at step" in output
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.slow
def test_what_cannot_be_trained_is_one_sentence(order, tmp_path):
    nothing = order.model_copy(update={"clips": (AudioLocation(str(tmp_path / "missing.wav")),)})
    output, _ = (process := start(nothing, tmp_path)).communicate(timeout=120)
    assert process.returncode == 1
    assert "none of the 1 training clips can be decoded" in output.splitlines()[-1]
