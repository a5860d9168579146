"""Break word errors down by word length and sentence length, and phoneme errors by pair of phonemes.

A mean does not tell what a model lacks. Words that are rare in the training texts are long, long sentences lose words
at their end, and clusters of consonants appear as pairs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_ratio
from valle.text.errors import align_words
from warehouse.model_rows import ScoreRow

WORD_LETTERS = (3, 5, 7)
"""Longest word, in letters, of each class but the last, which is open."""
SENTENCE_WORDS = (4, 8, 12)
"""Longest sentence, in words, of each class but the last, which is open."""

ClassOfWord = Callable[[ScoreRow, str], int]
Phonemes = Sequence[str]
Pair = tuple[str, str]

_LENGTH_MARK = "ː"


@dataclass(frozen=True, slots=True)
class PairErrors:
    """Occurrences of two successive phonemes in the references, and how many were not transcribed as such."""

    pair: Pair
    errors: int
    count: int

    @property
    def rate(self) -> float:
        """Fraction of the occurrences with an error."""
        return self.errors / self.count


def class_names(bounds: Sequence[int]) -> tuple[str, ...]:
    """Name the classes that `bounds` separate: bounds (3, 5) give `1-3`, `4-5` and `6+`."""
    starts = (1, *(bound + 1 for bound in bounds))
    return (*(f"{start}-{end}" for start, end in zip(starts, bounds, strict=False)), f"{starts[-1]}+")


def class_of(number: int, bounds: Sequence[int]) -> int:
    """Return the class of a number: the first whose bound it does not exceed."""
    return sum(number > bound for bound in bounds)


def errors_by_word_length(
    rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None
) -> tuple[Estimate | None, ...]:
    """Return the micro WER of each class of `WORD_LETTERS`; an inserted word counts with the word before it."""
    return _errors_by_class(rows, WORD_LETTERS, lambda _, word: len(word), options)


def errors_by_sentence_length(
    rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None
) -> tuple[Estimate | None, ...]:
    """Return the micro WER of each class of `SENTENCE_WORDS`."""
    return _errors_by_class(rows, SENTENCE_WORDS, lambda row, _: row.num_words, options)


def _errors_by_class(
    rows: Sequence[ScoreRow], bounds: Sequence[int], measure: ClassOfWord, options: BootstrapOptions | None
) -> tuple[Estimate | None, ...]:
    counts = [_count_by_class(row, bounds, measure) for row in rows]
    estimates: list[Estimate | None] = []
    for number in range(len(bounds) + 1):
        # A replica of only such speakers that have no word of the class would divide by zero.
        present = [
            (errors[number], words[number], row.speaker)
            for (errors, words), row in zip(counts, rows, strict=True)
            if words[number]
        ]
        estimates.append(_ratio(present, options) if present else None)
    return tuple(estimates)


def _ratio(present: Sequence[tuple[int, int, str]], options: BootstrapOptions | None) -> Estimate:
    errors, words, speakers = zip(*present, strict=True)
    return estimate_ratio(errors, words, clusters=speakers, options=options)


def _count_by_class(row: ScoreRow, bounds: Sequence[int], measure: ClassOfWord) -> tuple[Counter[int], Counter[int]]:
    """Count the errors and the words of each class in one row."""
    errors: Counter[int] = Counter()
    words: Counter[int] = Counter()
    columns = align_words(row.reference, row.hypothesis)
    # Words before the first one of the reference belong to it.
    number = class_of(measure(row, row.reference.split()[0]), bounds)
    for column in columns:
        if column.reference is not None:
            number = class_of(measure(row, column.reference), bounds)
            words[number] += 1
        errors[number] += column.mark != "="
    return errors, words


def errors_by_phoneme_pair(texts: Iterable[tuple[Phonemes, Phonemes]], *, min_count: int = 1) -> list[PairErrors]:
    """Return the pairs of the references in `texts` (reference, transcription), most errors first.

    Both are aligned with the fewest edits. A pair is correct where both of its phonemes are aligned to equal ones that
    follow each other. Pairs with fewer than `min_count` occurrences are left out.
    """
    errors: Counter[Pair] = Counter()
    counts: Counter[Pair] = Counter()
    for reference, hypothesis in texts:
        phonemes, transcribed = with_length_marks(reference), with_length_marks(hypothesis)
        place = _aligned_places(phonemes, transcribed)
        for index, pair in enumerate(pairwise(phonemes)):
            first, second = place.get(index), place.get(index + 1)
            counts[pair] += 1
            errors[pair] += first is None or second is None or second != first + 1
    pairs = [PairErrors(pair, errors[pair], count) for pair, count in counts.items() if count >= min_count]
    return sorted(pairs, key=lambda found: (-found.errors, -found.rate, found.pair))


def with_length_marks(phonemes: Phonemes) -> list[str]:
    """Join length marks to the phoneme before them: `i`, `ː` is one long vowel."""
    joined: list[str] = []
    for phoneme in phonemes:
        if phoneme == _LENGTH_MARK and joined:
            joined[-1] += phoneme
        else:
            joined.append(phoneme)
    return joined


def _aligned_places(reference: Phonemes, hypothesis: Phonemes) -> dict[int, int]:
    """Map the index of each correct phoneme of the reference to its index in the transcription."""
    places: dict[int, int] = {}
    for block in Levenshtein.opcodes(reference, hypothesis):
        if block.tag == "equal":
            indices = zip(range(block.src_start, block.src_end), range(block.dest_start, block.dest_end), strict=True)
            places.update(indices)
    return places
