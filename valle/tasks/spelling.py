"""Texts and phonemes: phonemes of a written text (`phn`), the text of phonemes (`un-phn`), and speech from bytes.

A text is its UTF-8 bytes, so that no script needs a table. `tts-raw` speaks a text without any phonemizer.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from valle.model.layout import CODEBOOK, LANGUAGE, PROMPT, TEXT, Head, Ints, Layout, LayoutField, Mode, Table
from valle.model.row import Elements, Row
from valle.tasks.base import EpochRows, ReadCodes, RowDraws, TaskItems, ones, without_prompt
from valle.tasks.tts import SpeechTask, TtsOptions

BYTES = LayoutField("bytes", Table.BYTES, has_text_stride=True)


class SpellingOptions(TtsOptions):
    """Options of the training mix."""

    phonemes_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that learn the phonemes of a written text."
    )
    spelling_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that learn the written text of phonemes."
    )
    raw_text_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that learn to speak a written text without phonemes."
    )


def text_bytes(text: str) -> Ints:
    """Return the UTF-8 bytes of a text as ids [n]."""
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.int64)


def bytes_text(ids: list[int]) -> str:
    """Return the text of UTF-8 bytes; what is no UTF-8 becomes the replacement character."""
    return bytes(ids).decode("utf-8", errors="replace")


class SpellingTask:
    """Prediction of phonemes from bytes, or of bytes from phonemes, one by one."""

    def __init__(self, name: str, source: LayoutField, target: LayoutField, head: Head, option: str) -> None:
        self.name = name
        self.layout = Layout(name, Mode.TOKENS, (source, LANGUAGE, CODEBOOK, target), head)
        self.layouts = (self.layout,)
        self._option = option

    def row(self, source: Ints, language_id: int) -> Row:
        """Make a row for decoding: bytes, or symbols from `<bos>` to `<eos>`, and no output."""
        return Row(0, {self.layout.fields[0].name: source, "language": np.array([language_id])})

    def ratio(self, options: SpellingOptions) -> float:
        """Return the probability of the task among all rows."""
        ratio: float = getattr(options, self._option)
        return ratio

    def loss_name(self, layout: Layout) -> str:
        """Return `phn` or `un_phn`."""
        return self.name.replace("-", "_")

    def missing(self, items: TaskItems) -> str | None:
        """Return that the items have no written text, if so."""
        return None if items.num_bytes.any() else "its items have no written text; select again"

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept items with a written text."""
        return items.num_bytes[rows.item] > 0

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: SpellingOptions
    ) -> tuple[EpochRows, Ints]:
        """Remove the prompt: there is no speech in these rows."""
        return without_prompt(rows), np.zeros(len(rows), dtype=np.int64)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field. As an output the phonemes have no `<bos>`, and `<eos>` is their stop."""
        symbols = items.num_symbols[rows.item] - (2 if layout.output is TEXT else 0)
        return {
            "bytes": items.num_bytes[rows.item],
            "language": ones(rows),
            "codebook": ones(rows),
            "text": symbols,
        }

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row."""
        item = int(rows.item[index])
        symbols = items.symbols_of(item)
        return {
            "bytes": items.bytes_of(item),
            "language": items.language_ids[item : item + 1],
            "text": symbols[1:-1] if layout.output is TEXT else symbols,
        }


class RawTextTask(SpeechTask):
    """Text-to-speech from the bytes of a text."""

    name = "tts-raw"
    condition_fields = (BYTES, LANGUAGE, CODEBOOK, PROMPT)

    def context(self, text: str) -> Mapping[str, Ints]:
        """Return the bytes of a text as the task's own field."""
        return {BYTES.name: text_bytes(text)}

    def without_text(self, context: Mapping[str, Elements]) -> Mapping[str, Elements]:
        """Return no field: the bytes are the text."""
        return {}

    def ratio(self, options: SpellingOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.raw_text_ratio

    def loss_name(self, layout: Layout) -> str:
        """Return task and mode, such as `raw_ar`."""
        return f"raw_{super().loss_name(layout)}"

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept items with a written text."""
        return items.num_bytes[rows.item] > 0

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        lengths = super().lengths(layout, items, rows)
        del lengths["text"]
        return lengths | {"bytes": items.num_bytes[rows.item] * rows.has_text}

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row."""
        fields = super().fields(layout, items, rows, index, read_codes)
        if fields.pop("text", None) is not None:
            fields["bytes"] = items.bytes_of(int(rows.item[index]))
        return fields


PHONEMES = SpellingTask("phn", BYTES, TEXT, Head.SYMBOLS, "phonemes_ratio")
SPELLING = SpellingTask("un-phn", TEXT, BYTES, Head.BYTES, "spelling_ratio")
RAW_TEXT = RawTextTask()
