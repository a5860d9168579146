"""Sentences of a text that arrives in pieces, such as the words of a language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valle.synthesis.texts.marked_text import Sentence, read_sentences
from valle.synthesis.texts.sentences import split_pieces

if TYPE_CHECKING:
    from valle.synthesis.options import LongFormOptions
    from valle.synthesis.synthesizer import Synthesizer

_MARKS = "<["


class GrowingText:
    """Split a text that grows: a sentence is certain when the next one has begun.

    A piece with marks (`<`, `[`) is a text of its own, because a tag that is cut in two is none.
    """

    def __init__(self, synthesizer: Synthesizer, language: str, options: LongFormOptions) -> None:
        self._synthesizer, self._language, self._options = synthesizer, language, options
        self._rest = ""
        self.num_characters = 0
        """Characters so far."""

    def push(self, text: str) -> list[Sentence]:
        """Return the sentences that are certain after `text`, in order.

        Raises ConfigurationError for marks that are not supported.
        """
        self.num_characters += len(text)
        if any(mark in text for mark in _MARKS):
            return [*self.finish(), *self._read(text)]
        self._rest += text
        pieces = split_pieces(self._rest, self._language, self._options)
        if len(pieces) < 2:
            return []
        # The last piece may continue, even after a full stop: "3." is followed by "14".
        begin = self._rest.rindex(pieces[-1])
        done, self._rest = self._rest[:begin], self._rest[begin:]
        return self._read(done)

    def finish(self) -> list[Sentence]:
        """Return the sentences of the text that is left, none where it has nothing to speak."""
        rest, self._rest = self._rest, ""
        return self._read(rest) if rest.strip() else []

    def _read(self, text: str) -> list[Sentence]:
        return read_sentences(self._synthesizer, text, language=self._language, options=self._options)
