"""Count edit errors between a reference and a transcription, in words or characters; align and find words."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel, Levenshtein


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """Fewest edits, each at cost 1, that turn a reference of `length` units into the hypothesis."""

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
        """Errors per unit of the reference; above 1 when insertions outnumber the correct units.

        An empty reference counts as one unit, since a normaliser may remove every character of a text.
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
    # Several alignments can have the fewest edits. Their sum of errors is unique, the split into S, D and I is not.
    tags = [edit.tag for edit in edits]
    return ErrorCount(tags.count("replace"), tags.count("delete"), tags.count("insert"), len(reference))


def count_word_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Count edits between two normalised texts in words, split at white space."""
    return _count(reference.split(), hypothesis.split())


def count_character_errors(reference: str, hypothesis: str) -> ErrorCount:
    """Count edits between two normalised texts in characters; white space is one space between words."""
    return _count(" ".join(reference.split()), " ".join(hypothesis.split()))


def count_phoneme_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCount:
    """Count edits between two sequences of phonemes."""
    return _count(reference, hypothesis)


def align_words(reference: str, hypothesis: str) -> list[AlignedWord]:
    """Align the words of two normalised texts in order, with the fewest edits."""
    first, second = reference.split(), hypothesis.split()
    aligned: list[AlignedWord] = []
    # Equal and replaced blocks have the same number of words on both sides.
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


def share_of_words_found(words: str, hypothesis: str, *, before: str = "", after: str = "") -> float | None:
    """Return the share of words of a reference that a hypothesis has at their place; None without a word.

    The reference is `before`, `words` and `after`, all normalised. Both are aligned by their longest common
    subsequence of words, so that the same word elsewhere in the hypothesis is not counted. Insertions are no loss.
    """
    reference, start, count = f"{before} {words} {after}".split(), len(before.split()), len(words.split())
    # Fewest edits would take two substitutions for a deletion and an insertion, and lose the word between them.
    blocks = [block for block in Indel.opcodes(reference, hypothesis.split()) if block.tag == "equal"]
    found = sum(start <= word < start + count for block in blocks for word in range(block.src_start, block.src_end))
    return found / count if count else None
