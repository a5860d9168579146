"""Draw one utterance: waveform, log-mel spectrogram and codes over the same seconds."""

from typing import TYPE_CHECKING

import librosa
import numpy as np
from matplotlib.figure import Figure

from valle.audio import Audio
from valle.statistics.style import SEQUENTIAL, colour, new_figure

if TYPE_CHECKING:
    from valle.codec.base import Codes

_MELS = 80
_WINDOW = 1024
_FLOOR_DB = 80.0


def draw_speech(audio: Audio, codes: "Codes", *, title: str) -> Figure:
    """Return a figure of speech with its codes [K, T]; empty axes where there is none."""
    figure = new_figure(height=5.5)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    wave, spectrogram, codebooks = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 1))
    seconds = audio.duration
    if len(audio.samples):
        times = np.arange(len(audio.samples)) / audio.sample_rate
        wave.plot(times, audio.samples, color=colour(0), linewidth=0.4)
        window = min(_WINDOW, len(audio.samples))
        mels = librosa.feature.melspectrogram(y=audio.samples, sr=audio.sample_rate, n_fft=window, n_mels=_MELS)
        decibels = librosa.power_to_db(mels, ref=np.max, top_db=_FLOOR_DB)
        extent = (0, seconds, 0, _MELS)
        spectrogram.imshow(decibels, origin="lower", aspect="auto", extent=extent, cmap=SEQUENTIAL)
        codebooks.imshow(
            codes, aspect="auto", extent=(0, seconds, len(codes) - 0.5, -0.5), cmap=SEQUENTIAL, interpolation="nearest"
        )
    wave.set_ylabel("amplitude")
    spectrogram.set_ylabel("mel band")
    codebooks.set_ylabel("codebook")
    codebooks.set_xlabel("s")
    return figure
