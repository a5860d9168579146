"""Write speech to a file while it is synthesized: what is finished survives a crash."""

import io
import wave
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import numpy as np
import soundfile

from valle.audio import Samples
from valle.codec.base import Codes
from warehouse.errors import ConfigurationError, StorageError
from warehouse.files import atomic_write

SUFFIXES = (".wav", ".flac", ".ogg")
# Samples that are encoded at once, so that an hour of speech needs no hour of memory.
_BLOCK = 1 << 20


class SpeechFile:
    """A growing 16-bit audio file (`.wav`, `.flac` or `.ogg`), and optionally its codes (`.npy`).

    A WAV is complete after each `append`. Other formats grow as `NAME.partial.wav`, which `close` encodes: their
    encoders keep the last seconds in memory, so that a kill would lose them. The files are made by the first `append`
    that has samples; a synthesis without speech leaves an older file alone. `close` adds the `tags` (`comment` and
    `artist`).
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        *,
        codes: Path | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._path = path
        self._growing = path if path.suffix == ".wav" else path.with_name(f"{path.name}.partial.wav")
        self._codes_path = codes
        self._tags = tags
        self._sample_rate = sample_rate
        self._audio: _WaveFile | None = None
        self._codes: _CodesFile | None = None
        self._num_samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of speech so far."""
        return self._num_samples / self._sample_rate

    def append(self, samples: Samples, codes: Codes) -> None:
        """Append samples [N] and codes [K, T], either of which may have none.

        Raises ConfigurationError when they cannot be written.
        """
        try:
            if len(samples) and self._audio is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._audio = _WaveFile(self._growing, self._sample_rate)
            if self._audio is not None:
                # Beyond full scale integers would wrap around to clicks.
                self._audio.append(np.clip(samples, -1, 1))
            if self._codes_path is not None and codes.shape[1]:
                self._codes = self._codes or _CodesFile(self._codes_path, len(codes))
                self._codes.append(codes)
        except (OSError, soundfile.LibsndfileError) as error:
            raise self._unwritable(error) from error
        self._num_samples += len(samples)

    def close(self) -> None:
        """Complete the files. Raises ConfigurationError when the audio cannot be encoded."""
        if self._codes is not None:
            self._codes.close()
        if self._audio is None:
            return
        # A WAV that is encoded again loses its tags.
        self._audio.close(self._tags if self._growing == self._path else {})
        if self._growing != self._path:
            try:
                _encode(self._growing, self._path, self._tags)
            except (OSError, StorageError, soundfile.LibsndfileError) as error:
                raise self._unwritable(error) from error
            self._growing.unlink()

    def _unwritable(self, error: Exception) -> ConfigurationError:
        kept = f"{self.seconds:.1f} s of speech are in {self._growing}" if self.seconds else "nothing was written"
        return ConfigurationError(f"Cannot write {self._path} ({error}; {kept}); make room or choose another --out.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encode(source: Path, target: Path, tags: Mapping[str, str]) -> None:
    """Encode a WAV in the format of the suffix of `target`, block by block and atomically."""
    # A reader of `target` sees the old file or the whole new one.
    subtype = "OPUS" if target.suffix == ".ogg" else "PCM_16"
    with (
        atomic_write(target) as temporary,
        soundfile.SoundFile(source) as wav,
        soundfile.SoundFile(temporary, "w", samplerate=wav.samplerate, channels=1, subtype=subtype) as encoded,
    ):
        for name, text in tags.items():
            setattr(encoded, name, text)
        for block in wav.blocks(_BLOCK, dtype="int16"):
            encoded.write(block)


class _WaveFile:
    """A WAV file whose header is valid after each append; libsndfile writes the length only when it closes a file."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._file = path.open("wb")
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 (closed by `close`)
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(sample_rate)

    def append(self, samples: Samples) -> None:
        # Converted by libsndfile, so that a WAV has the samples of a FLAC of the same speech.
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 1, format="RAW", subtype="PCM_16", endian="LITTLE")
        self._wave.writeframes(buffer.getvalue())
        self._file.flush()

    def close(self, tags: Mapping[str, str]) -> None:
        self._wave.close()
        if tags:
            # After the samples, whose number is unknown until now.
            self._file.seek(0, io.SEEK_END)
            self._file.write(_info_chunk(tags))
            size = self._file.tell()
            self._file.seek(4)  # the size of the file, without its first eight bytes
            self._file.write((size - 8).to_bytes(4, "little"))
        self._file.close()


def _info_chunk(tags: Mapping[str, str]) -> bytes:
    """Return the chunk `LIST INFO` of a RIFF file (Multimedia Programming Interface 1.0, 1991, page 2-14)."""
    names = {"comment": b"ICMT", "artist": b"IART"}
    content = b"INFO"
    for name, text in tags.items():
        encoded = text.encode("utf-8") + b"\0"
        content += names[name] + len(encoded).to_bytes(4, "little") + encoded + b"\0" * (len(encoded) % 2)
    return b"LIST" + len(content).to_bytes(4, "little") + content


class _CodesFile:
    """Codes as an array file [K, T] that grows in T: Fortran order keeps the codes of a frame together."""

    def __init__(self, path: Path, num_codebooks: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._shape = (num_codebooks, 0)

    def append(self, codes: Codes) -> None:
        self._file.seek(0, io.SEEK_END)
        if not self._shape[1]:
            self._write_header()  # reserves the space in front of the data
        self._file.write(np.ascontiguousarray(codes.T, dtype="<i2").tobytes())
        self._shape = (self._shape[0], self._shape[1] + codes.shape[1])
        self._write_header()
        self._file.flush()

    def _write_header(self) -> None:
        """Write the header in front; NumPy pads it, so that its size does not change as the array grows."""
        self._file.seek(0)
        header = {"descr": "<i2", "fortran_order": True, "shape": self._shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def close(self) -> None:
        self._file.close()
