"""A codec, a phonemizer, judges and a synthesizer so small that each does its work in a few lines."""

import numpy as np
import torch

from tests.unit.training.toy import FRAMES_PER_SYMBOL, SPEC, SYMBOLS
from valle.backends.alignment import TimedWord, words_of
from valle.backends.asr import SAMPLE_RATE
from valle.backends.transcription import Transcription
from valle.checkpoints.checkpoint import CheckpointCard
from valle.codec.streaming import WindowStream
from valle.data.cursor import Cursor
from valle.model.config import preset
from valle.model.valle import ValleModel
from valle.synthesis.synthesizer import Synthesizer


class ToyCodec:
    """Codebook 0 as a constant per frame; encoding is its inverse."""

    spec = SPEC

    def encode(self, waveforms):
        return [np.tile((wave[:: SPEC.hop_length] * 32).round().astype(np.int16), (8, 1)) for wave in waveforms]

    def decode(self, codes):
        return [np.repeat(block[0].astype(np.float32) / 32, SPEC.hop_length) for block in codes]

    def stream(self):
        return WindowStream(lambda codes: self.decode([codes])[0], hop_length=SPEC.hop_length, context=2)


class ToyPhonemizer:
    """Letters are phonemes; nothing else is. `languages` are those that were asked for, in order."""

    def __init__(self):
        self.languages = []

    def phonemize(self, texts, language):
        self.languages.append(language)
        return [[letter for letter in text if letter in SYMBOLS] for text in texts]


class ToyTranscriber:
    """Transcribes the letters whose codes last as long as they should."""

    is_multilingual = False

    def transcribe(self, waveforms, language=None, *, careful=False, numbers_in_words=False):
        return [Transcription(self._text(wave), "en", None, 0.0, 0.0, 1.0) for wave in waveforms]

    def align(self, waveforms, texts, language):
        """Words of equal length, without pauses."""
        return [
            [TimedWord(word, i * length, (i + 1) * length, 1.0) for i, word in enumerate(words_of(text))]
            for wave, text in zip(waveforms, texts, strict=True)
            for length in [len(wave) / SAMPLE_RATE / max(1, len(words_of(text)))]
        ]

    def _text(self, wave):
        hop = SPEC.hop_length * SAMPLE_RATE // SPEC.sample_rate
        codes = (wave[hop // 2 :: hop] * 32).round().astype(int)[::FRAMES_PER_SYMBOL]
        return "".join(SYMBOLS[code // 2] if 5 <= code // 2 < len(SYMBOLS) else " " for code in codes)


class ToyEncoder:
    """A voice is how loud it is and how much it varies."""

    def embed(self, waveforms):
        vectors = [np.array([wave.mean(), wave.std(), 0.1], dtype=np.float32) for wave in waveforms]
        return [vector / np.linalg.norm(vector) for vector in vectors]


class ToyBackends:
    device = "cpu"

    def __init__(self, codec=None):
        self._codec = codec or ToyCodec()
        self._phonemizer = ToyPhonemizer()

    def codec(self, name):
        assert name == SPEC.name
        return self._codec

    def phonemizer(self, name):
        return self._phonemizer

    def transcriber(self, name):
        return ToyTranscriber()

    def speaker_encoder(self, name):
        return ToyEncoder()


def toy_card(spec=SPEC, symbols=SYMBOLS):
    """The card of a checkpoint that was not trained at all."""
    return CheckpointCard(
        run_id="toy",
        step=0,
        training_set="toy-1",
        model=preset("nano", spec, num_symbols=len(symbols), languages=["en"]),
        codec=spec,
        phoneme_symbols=tuple(symbols),
        engine="plain",
        cursor=Cursor(),
        seconds=0.0,
        saved_at="2026-01-01T00:00:00+00:00",
        options={},
        metrics={},
    )


def untrained_model(card, *, stop=0.0):
    """An untrained model; the larger `stop`, the sooner its speech ends."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ValleModel(card.model).eval()
    with torch.no_grad():
        model.heads.bias[model.heads.spans["codes", 0][1] - 1] += stop
    return model


def untrained_synthesizer(*, stop=0.0):
    """Speaks nonsense of random length, at once."""
    card = toy_card()
    return Synthesizer(untrained_model(card, stop=stop), card, ToyCodec(), ToyBackends())
