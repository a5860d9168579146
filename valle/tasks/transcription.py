"""Transcription: the phonemes of speech."""

import numpy as np
from pydantic import BaseModel, Field

from valle.codec.base import Codes
from valle.model.layout import CODEBOOK, LANGUAGE, SPEECH, TEXT, Head, Ints, Layout, Mode
from valle.model.row import Elements, Row
from valle.tasks.base import EpochRows, ReadCodes, RowDraws, TakesEveryRow, TaskItems, ones, without_prompt


class TranscriptionOptions(BaseModel):
    """Option of the training mix."""

    transcription_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that learn the phonemes of speech."
    )


class TranscriptionTask(TakesEveryRow):
    """Prediction of the phonemes of an utterance from its codes, one by one."""

    name = "stt"
    layout = Layout(name, Mode.TOKENS, (SPEECH, LANGUAGE, CODEBOOK, TEXT), Head.SYMBOLS)
    layouts = (layout,)

    def row(self, speech: Codes, language_id: int) -> Row:
        """Make a row for decoding: codes [K, T] and no text."""
        return Row(0, {SPEECH.name: speech, "language": np.array([language_id])})

    def ratio(self, options: TranscriptionOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.transcription_ratio

    def loss_name(self, layout: Layout) -> str:
        """Return `stt`."""
        return self.name

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: TranscriptionOptions
    ) -> tuple[EpochRows, Ints]:
        """Remove the prompt: the speech is the only condition."""
        return without_prompt(rows), np.zeros(len(rows), dtype=np.int64)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field. As an output the text has no `<bos>`, and `<eos>` is its stop."""
        return {
            SPEECH.name: items.num_frames[rows.item],
            "language": ones(rows),
            "codebook": ones(rows),
            "text": items.num_symbols[rows.item] - 2,
        }

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row."""
        item = int(rows.item[index])
        return {
            SPEECH.name: read_codes(item, None),
            "language": items.language_ids[item : item + 1],
            "text": items.symbols_of(item)[1:-1],
        }


TRANSCRIPTION = TranscriptionTask()
