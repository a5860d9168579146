"""Outputs of streamed speech: a pipe and the loudspeaker; `SpeechFile` is the one that grows on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self

import numpy as np

from valle.synthesis.streaming.encoder import AudioEncoder
from warehouse.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    from valle.audio import Samples
    from valle.codec.base import Codes


class SpeechOutput(Protocol):
    """An output that takes speech in pieces."""

    @property
    def seconds(self) -> float:
        """Seconds of speech so far."""

    def append(self, samples: Samples, codes: Codes) -> None:
        """Add samples [N] and codes [K, T]. Raises ConfigurationError when the output does not take them."""

    def close(self) -> None:
        """Complete the output."""


class SpeechPipe:
    """Speech as a WAV in a pipe: each piece is there as soon as it is made."""

    def __init__(self, pipe: BinaryIO, sample_rate: int, metadata: Mapping[str, str]) -> None:
        self._pipe, self._sample_rate = pipe, sample_rate
        self._encoder = AudioEncoder("wav", sample_rate, metadata)
        self._num_samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of speech so far."""
        return self._num_samples / self._sample_rate

    def append(self, samples: Samples, codes: Codes) -> None:
        """Write samples [N]. Raises ConfigurationError when nothing reads the pipe any more."""
        self._write(self._encoder.push(samples))
        self._num_samples += len(samples)

    def close(self) -> None:
        """Write what the encoder still has."""
        self._write(self._encoder.finish())

    def _write(self, content: bytes) -> None:
        try:
            self._pipe.write(content)
            self._pipe.flush()
        except OSError as error:
            raise ConfigurationError(f"The pipe of the speech is closed ({error.strerror}).") from error


class SampleFilter(Protocol):
    """Samples in, samples out later: the watermark."""

    def push(self, samples: Samples) -> Samples:
        """Return the samples [N], possibly none, that are complete."""

    def finish(self) -> Samples:
        """Return the remaining samples."""


class MarkedOutput:
    """Another output behind a filter, which holds the last samples back until `close`."""

    def __init__(self, output: SpeechOutput, mark: SampleFilter) -> None:
        self._output, self._mark = output, mark

    @property
    def seconds(self) -> float:
        """Seconds of speech so far."""
        return self._output.seconds

    def append(self, samples: Samples, codes: Codes) -> None:
        """Add samples [N] and codes [K, T]."""
        self._output.append(self._mark.push(samples), codes)

    def close(self) -> None:
        """Complete the output with the last samples."""
        self._output.append(self._mark.finish(), np.zeros((0, 0), dtype=np.int16))
        self._output.close()


class Loudspeaker:
    """Play speech in a thread, so that the next pieces are synthesized meanwhile."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._num_samples = 0
        self._waiting: queue.Queue[Samples | None] = queue.Queue()
        self._device = _open_loudspeaker(sample_rate)
        self._thread = threading.Thread(target=self._play, name="loudspeaker", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Seconds of speech so far."""
        return self._num_samples / self._sample_rate

    def append(self, samples: Samples, codes: Codes) -> None:
        """Add samples [N]."""
        self._num_samples += len(samples)
        self._waiting.put(samples)

    def close(self) -> None:
        """Wait until everything is played."""
        self._waiting.put(None)
        self._thread.join()

    def _play(self) -> None:
        with self._device as device:
            while (samples := self._waiting.get()) is not None:
                device.write(np.ascontiguousarray(samples, dtype=np.float32))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_loudspeaker(sample_rate: int) -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the library PortAudio is missing
        raise DependencyError(
            f"Playing needs sounddevice and PortAudio ({error}); run `pip install 'valle[play]'` and, on Linux, "
            "`apt install libportaudio2`."
        ) from error
    try:
        return sounddevice.OutputStream(samplerate=sample_rate, channels=1, dtype="float32")
    except sounddevice.PortAudioError as error:
        raise DependencyError(f"No loudspeaker can be opened ({error}); leave --play out.") from error
