"""Edit errors between a reference and a transcription, in words and in characters, with the alignment."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Edits that turn a reference of `length` units into the hypothesis (fewest possible, each costs 1)."""

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per unit of the reference; above 1 when more is inserted than the reference holds.

        An empty reference counts as one unit: a normaliser may leave nothing of a text.
        """
        return self.errors / max(self.length, 1)


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One column of an alignment: `mark` is `=` (correct), `S`, `D` or `I`; the missing side is None."""

    mark: str
    reference: str | None
    hypothesis: str | None


def _count(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCount:
    edits = Levenshtein.editops(reference, hypothesis)
    tags = [edit.tag for edit in edits]
    return ErrorCount(tags.count("replace"), tags.count("delete"), tags.count("insert"), len(reference))


def count_word_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Edits between two normalised texts, in words split at white space."""
    return _count(reference.split(), hypothesis.split())


def count_character_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Edits between two normalised texts in characters; white space counts as one space between words."""
    return _count(" ".join(reference.split()), " ".join(hypothesis.split()))


def count_phoneme_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCount:
    """Edits between two rows of phonemes."""
    return _count(reference, hypothesis)


def align_words(reference: str, hypothesis: str) -> list[AlignedWord]:
    """The words of two normalised texts side by side, in order, with the fewest edits."""
    first, second = reference.split(), hypothesis.split()
    aligned: list[AlignedWord] = []
    for block in Levenshtein.opcodes(first, second):
        left = first[block.src_start : block.src_end]
        right = second[block.dest_start : block.dest_end]
        if block.tag == "delete":
            aligned.extend(AlignedWord("D", word, None) for word in left)
        elif block.tag == "insert":
            aligned.extend(AlignedWord("I", None, word) for word in right)
        else:
            mark = "=" if block.tag == "equal" else "S"
            aligned.extend(AlignedWord(mark, a, b) for a, b in zip(left, right, strict=True))
    return aligned
