"""`--play`: speech goes to the loudspeaker piece by piece; a machine without one gets a sentence."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from valle.synthesis.streaming.outputs import Loudspeaker
from warehouse.errors import DependencyError


class Device:
    """A stream of sounddevice that keeps what it plays."""

    def __init__(self, samplerate, channels, dtype):
        self.format, self.played, self.is_closed = (samplerate, channels, dtype), [], False

    def write(self, samples):
        self.played.append(samples.copy())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_closed = True


def test_pieces_are_played_in_order_and_the_end_waits_for_the_last(monkeypatch):
    opened = []

    def open_stream(**given):
        opened.append(Device(**given))
        return opened[-1]

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(OutputStream=open_stream, PortAudioError=OSError))
    pieces = [np.full(size, size / 1000, dtype=np.float32) for size in (240, 480, 120)]
    with Loudspeaker(24_000) as loudspeaker:
        for piece in pieces:
            loudspeaker.append(piece, np.zeros((8, 1), dtype=np.int16))
    [device] = opened
    assert device.format == (24_000, 1, "float32")
    assert device.is_closed
    assert np.array_equal(np.concatenate(device.played).ravel(), np.concatenate(pieces))
    assert loudspeaker.seconds == 840 / 24_000


def test_a_machine_without_a_loudspeaker_gets_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DependencyError, match="apt install libportaudio2"):
        Loudspeaker(24_000)
