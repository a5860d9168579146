"""`valle watermark`: whether speech is marked as synthetic, and the mark for speech of other programs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.cli.arguments import say
from warehouse.errors import ConfigurationError


def detect(files: Annotated[list[Path], Parameter(negative="")], /) -> int:
    """Report whether audio files are marked as synthetic; 1 when any is not."""
    from valle.watermark import detect

    found = [(path, detect(_read(path))) for path in files]
    for path, detection in found:
        verdict = "marked as synthetic" if detection.is_marked else "no mark"
        say(f"{path}: {verdict}, confidence {detection.confidence:.2f}, {detection.marked_seconds:.0f} s marked")
    return 0 if all(detection.is_marked for _, detection in found) else 1


def add(file: Path, /, *, out: Path) -> int:
    """Write an audio file with the mark, for speech that was synthesized without it."""
    from valle.watermark import mark

    if out.suffix not in (".wav", ".flac", ".ogg"):
        raise ConfigurationError(f"--out must end in .wav, .flac or .ogg, not {out.name!r}.")
    write_audio(out, mark(_read(file)))
    return 0


def _read(path: Path) -> Audio:
    try:
        return read_audio(AudioLocation(str(path)))
    except UnreadableAudio as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); give an audio file.") from error
