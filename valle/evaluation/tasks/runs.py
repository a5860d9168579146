"""Run each task on a case and measure its answer beside controls: values by (system, metric).

`checkpoint` is the model, `input` returns what was given, `truth` the right answer through the codec: no model can be
better, and one that is no better than `input` has learnt nothing. Speech is no transcript of itself, so the control of
`stt` is `other`: the phonemes of another utterance of the speaker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from valle.backends.alignment import words_of
from valle.evaluation.tasks.cases import TaskCase
from valle.evaluation.tasks.measures import TaskMeasures, si_sdr
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.duration import predict_lengths
from valle.synthesis.decoding.tokens import decode_tokens
from valle.synthesis.options import MixtureText, SamplingOptions, sampling_of
from valle.synthesis.raw_text import speak_raw
from valle.synthesis.synthesizer import Prompt
from valle.synthesis.texts.recorded_text import TextOptions, read_text
from valle.synthesis.transforms import transform_sampling
from valle.tasks.editing import EDITING, NOISY_EDITING, EditingTask
from valle.tasks.mixtures.conversion import CONVERSION
from valle.tasks.mixtures.extraction import EXTRACTION
from valle.tasks.mixtures.removal import REMOVAL
from valle.tasks.mixtures.suppression import SUPPRESSION
from valle.tasks.spelling import PHONEMES, RAW_TEXT, SPELLING, bytes_text, text_bytes
from valle.tasks.transcription import TRANSCRIPTION
from valle.text.errors import (
    count_character_errors,
    count_phoneme_errors,
    count_word_errors,
    share_of_words_found,
)
from valle.text.normalise import normalise

if TYPE_CHECKING:
    from valle.audio import Samples
    from valle.codec.base import Codes
    from valle.model.row import Row
    from valle.synthesis.synthesizer import Synthesizer
    from valle.tasks.mixtures.mixture import MixtureTask

CHECKPOINT, INPUT, OTHER, TRUTH = "checkpoint", "input", "other", "truth"
CONTROLS = (INPUT, OTHER)
Values = Mapping[tuple[str, str], float | None]
Run = Callable[[TaskCase], Values | None]
"""Measure one case; None where the case has not what the task needs."""


class TaskRunner:
    """Runs the tasks of one checkpoint."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        measures: TaskMeasures,
        options: SamplingOptions,
        *,
        text: MixtureText = "transcribed",
    ) -> None:
        self._synthesizer = synthesizer
        self._text = text
        self._measures = measures
        trained = sampling_of(synthesizer.card.options)
        self._options = options.over(trained)
        self._in_place = transform_sampling(synthesizer.card, options, trained)
        self._table = synthesizer.card.phoneme_table

    @property
    def runs(self) -> Mapping[str, Run]:
        """The tasks that have scores, by name."""
        return {
            SUPPRESSION.name: self._suppression,
            REMOVAL.name: self._removal,
            EXTRACTION.name: self._extraction,
            CONVERSION.name: self._conversion,
            EDITING.name: lambda case: self._editing(EDITING, case),
            NOISY_EDITING.name: lambda case: self._editing(NOISY_EDITING, case),
            TRANSCRIPTION.name: self._transcription,
            PHONEMES.name: self._phonemes,
            SPELLING.name: self._spelling,
            RAW_TEXT.name: self._raw_text,
            "len": self._length,
        }

    def _suppression(self, case: TaskCase) -> Values | None:
        answers = self._mixed(SUPPRESSION, case, case.speech)
        if answers is None:
            return None
        values: dict[tuple[str, str], float | None] = {}
        for system, samples in answers.items():
            values |= self._distances(system, samples, answers[TRUTH])
            values[system, "wer"] = self._word_error_rate(samples, case)
            values[system, "dnsmos"] = self._measures.dnsmos(samples)
        return values

    def _removal(self, case: TaskCase) -> Values | None:
        answers = self._mixed(REMOVAL, case, case.interference)
        if answers is None:
            return None
        values: dict[tuple[str, str], float | None] = {}
        for system, samples in answers.items():
            values |= self._distances(system, samples, answers[TRUTH])
            heard = self._measures.transcribe(samples, case.language)
            values[system, "words_left"] = share_of_words_found(normalise(case.text, case.language), heard)
        return values

    def _distances(self, system: str, samples: Samples, truth: Samples) -> Values:
        """Return the distances of waveforms and of spectra: a decoder that draws codes keeps no phase of a noise."""
        return {
            (system, "si_sdr"): si_sdr(samples, truth),
            (system, "log_mel"): self._measures.spectral_distance(samples, truth),
        }

    def _extraction(self, case: TaskCase) -> Values | None:
        answers = self._mixed(EXTRACTION, case, case.speech)
        if answers is None or case.prompt is None or case.interference is None:
            return None
        # Through the codec, as the answers, so that the codec favours neither.
        prompt, other = self._decoded(case.prompt), self._decoded(case.interference)
        return self._voices(case, answers, prompt, "sim_interferer", other)

    def _conversion(self, case: TaskCase) -> Values | None:
        answers = self._mixed(CONVERSION, case, case.speech)
        if answers is None or case.prompt is None or case.mixture is None:
            return None
        return self._voices(case, answers, self._decoded(case.prompt), "sim_source", answers[INPUT])

    def _voices(
        self, case: TaskCase, answers: Mapping[str, Samples], target: Samples, other_name: str, other: Samples
    ) -> Values:
        """Measure the words, and the voice: its similarity to the target, to the other voice, and the difference."""
        values: dict[tuple[str, str], float | None] = {}
        for system, samples in answers.items():
            values[system, "wer"] = self._word_error_rate(samples, case)
            own, foreign = (self._measures.similarity(samples, voice) for voice in (target, other))
            values |= {(system, "sim_target"): own, (system, other_name): foreign}
            values[system, "sim_target_minus_other"] = None if own is None or foreign is None else own - foreign
        return values

    def _word_error_rate(self, samples: Samples, case: TaskCase) -> float:
        heard = self._measures.transcribe(samples, case.language)
        return count_word_errors(normalise(case.text, case.language), heard).rate

    def _mixed(self, task: MixtureTask, case: TaskCase, truth: Codes | None) -> Mapping[str, Samples] | None:
        """Return the waveforms of the checkpoint and of both controls; None for a mixture of another kind."""
        kinds = [kind.name.lower() for kind in task.kinds]
        if case.mixture is None or truth is None or case.mixture_kind not in kinds:
            return None
        if task.needs_prompt and case.prompt is None:
            return None
        condition = Condition(
            symbol_ids=self._symbol_ids(task, case, case.mixture),
            language_id=self._language_id(case),
            prompt=case.prompt if task.needs_prompt else None,
            prefix=case.mixture[:, :0],
            task=task,
            context=task.context(case.mixture),
        )
        # Every task on a mixture keeps its frames in place, so the length is known.
        answer = self._decode(condition, case.mixture.shape[1], self._in_place)
        return {CHECKPOINT: self._decoded(answer), INPUT: self._decoded(case.mixture), TRUTH: self._decoded(truth)}

    def _symbol_ids(self, task: MixtureTask, case: TaskCase, mixture: Codes) -> NDArray[np.int64]:
        """Return the phonemes that a task on a mixture is given, as the commands find them."""
        if self._text == "none" or (self._text == "transcribed" and not task.speaks):
            return np.zeros(0, dtype=np.int64)
        symbols: Sequence[str] = case.symbols
        if self._text == "transcribed":
            source = TextOptions(language=case.language, asr=self._measures.asr)
            samples, rate = self._decoded(mixture), self._synthesizer.codec.spec.sample_rate
            found = read_text(self._synthesizer.backends, [samples], rate, source).text
            symbols = self._synthesizer.phonemize(found, case.language) if found else ()
        return np.array(self._table.encode(symbols) if symbols else (), dtype=np.int64)

    def _editing(self, task: EditingTask, case: TaskCase) -> Values | None:
        """Fill the middle third of the words again; the control leaves them out."""
        codes = case.speech if task is EDITING else case.mixture
        words = len(case.borders) - 1
        if codes is None or words < 3:
            return None
        # Both sides keep words, so that the score includes the joins.
        first, last = words // 3, words // 3 + max(1, words // 3)
        start, end = case.borders[first], case.borders[last]
        if end <= start:
            return None
        before, after = codes[:, :start], codes[:, end:]
        condition = Condition(
            symbol_ids=np.array(self._table.encode(case.symbols)),
            language_id=self._language_id(case),
            prompt=None,
            prefix=before,
            task=task,
            suffix=after,
            context=task.context(before, after),
        )
        span = self._decode(condition, end - start, self._options)
        edited = np.concatenate([before, span, after], axis=1)
        samples = {
            CHECKPOINT: self._decoded(edited),
            INPUT: self._decoded(np.concatenate([before, after], axis=1)),
            TRUTH: self._decoded(codes),
        }
        kept = np.array_equal(edited[:, :start], before) and np.array_equal(edited[:, start + span.shape[1] :], after)
        values: dict[tuple[str, str], float | None] = {(CHECKPOINT, "codes_kept"): float(kept)}
        # The borders are those of the words, unless the text was changed after the alignment.
        spoken = words_of(case.text)
        parts = (spoken[:first], spoken[first:last], spoken[last:]) if len(spoken) == words else ((), (), ())
        left, span_words, right = (normalise(" ".join(part), case.language) for part in parts)
        reference = normalise(case.text, case.language)
        for system, waveform in samples.items():
            heard = self._measures.transcribe(waveform, case.language)
            values[system, "wer"] = count_word_errors(reference, heard).rate
            values[system, "span_words"] = share_of_words_found(span_words, heard, before=left, after=right)
            values[system, "sim_o"] = self._measures.similarity(waveform, samples[TRUTH])
        return values

    def _transcription(self, case: TaskCase) -> Values | None:
        asr = self._measures.backends.transcriber(self._measures.asr)
        (found,) = self._synthesizer.transcribe([case.speech], case.language)
        heard = asr.transcribe([self._measures.wave(self._decoded(case.speech))], case.language)[0].text
        answers = {
            CHECKPOINT: found,
            OTHER: case.other_symbols,
            "asr": self._synthesizer.phonemize(heard, case.language) if heard else (),
        }
        return {
            (system, "per"): None if symbols is None else count_phoneme_errors(case.symbols, symbols).rate
            for system, symbols in answers.items()
        }

    def _phonemes(self, case: TaskCase) -> Values | None:
        ids = self._tokens(PHONEMES.row(text_bytes(case.text), self._language_id(case)), case, is_phonemes=True)
        letters = list(case.text.casefold())
        return {
            (CHECKPOINT, "per"): count_phoneme_errors(case.symbols, self._table.decode(ids)).rate,
            (INPUT, "per"): count_phoneme_errors(case.symbols, letters).rate,
        }

    def _spelling(self, case: TaskCase) -> Values | None:
        symbols = np.array(self._table.encode(case.symbols))
        ids = self._tokens(SPELLING.row(symbols, self._language_id(case)), case, is_phonemes=False)
        text = case.text.casefold()
        return {
            (CHECKPOINT, "cer"): count_character_errors(text, bytes_text(ids).casefold()).rate,
            (INPUT, "cer"): count_character_errors(text, "".join(case.symbols)).rate,
        }

    def _raw_text(self, case: TaskCase) -> Values | None:
        """Measure speech of the bytes of the text; its control is the prompt, returned as it is."""
        if case.prompt is None:
            return None
        spoken = speak_raw(self._synthesizer, case.text, Prompt(case.prompt), self._options, language=case.language)
        prompt = self._decoded(case.prompt)
        values: dict[tuple[str, str], float | None] = {}
        answers = {CHECKPOINT: spoken.audio.samples, INPUT: prompt, TRUTH: self._decoded(case.speech)}
        for system, samples in answers.items():
            values[system, "wer"] = self._word_error_rate(samples, case)
            values[system, "sim_target"] = self._measures.similarity(samples, prompt)
        return values

    def _tokens(self, row: Row, case: TaskCase, *, is_phonemes: bool) -> list[int]:
        task = PHONEMES if is_phonemes else SPELLING
        longest = 3 * max(len(case.symbols), len(case.text))
        return decode_tokens(self._synthesizer.model, task.layout, [row], longest=longest)[0]

    def _length(self, case: TaskCase) -> Values | None:
        """Compare predicted lengths with the true one; the control is the average length of as many symbols."""
        frames = case.speech.shape[1]
        condition = Condition(
            np.array(self._table.encode(case.symbols)), self._language_id(case), case.prompt, case.speech[:, :0]
        )
        errors = {}
        for system, method in ((CHECKPOINT, "digits"), (INPUT, "average")):
            options = SamplingOptions(decoding="nar-len", duration=method, max_seconds=60)  # type: ignore[arg-type]
            (predicted,) = predict_lengths(self._synthesizer.model, [Utterance(condition, options)])
            errors[system, "duration_error"] = abs(predicted - frames) / frames
        return errors

    def _decode(self, condition: Condition, frames: int, options: SamplingOptions) -> Codes:
        seconds = frames / self._synthesizer.card.model.frame_rate
        changes: dict[str, float] = {"max_seconds": 1.5 * seconds + 0.2}
        if options.decoding == "nar-len":
            changes["seconds"] = seconds
        (decoded,) = decode(self._synthesizer.model, [condition], [options.model_copy(update=changes)])
        return decoded.codes

    def _decoded(self, codes: Codes) -> Samples:
        return self._synthesizer.codec.decode([codes])[0] if codes.shape[1] else np.zeros(0, dtype=np.float32)

    def _language_id(self, case: TaskCase) -> int:
        return self._synthesizer.card.model.language_id(case.language)
