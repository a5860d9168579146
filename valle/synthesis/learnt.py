"""Refuse a task that a checkpoint has not learnt, and name what else it has never seen: the answer would be noise."""

from collections.abc import Sequence

from valle.checkpoints.checkpoint import CheckpointCard
from valle.model.config import UNKNOWN_LANGUAGE
from valle.phonemes import PhonemeTable
from valle.tasks.registry import learnt_tasks
from warehouse.errors import CheckpointError


def require_task(card: CheckpointCard, task: str, *, purpose: str, option: str) -> None:
    """Return if the checkpoint was trained on rows of a task.

    Raises CheckpointError otherwise; `purpose` completes "has not learnt to", `option` is that of the training mix.
    """
    if task not in learnt_tasks(card.options):
        raise CheckpointError(
            f"{card.checkpoint_id} has not learnt to {purpose}; train with --options.{option.replace('_', '-')} 0.2 or "
            "name another checkpoint with --run or --checkpoint."
        )


def unfamiliar(card: CheckpointCard, symbols: Sequence[str], language: str) -> list[str]:
    """Return a sentence for a language that the checkpoint was not trained on, and one for symbols it has never seen.

    Punctuation is no reason to warn: it changes a pause, and no word.
    """
    warnings = []
    languages = [known for known in card.model.languages if known != UNKNOWN_LANGUAGE]
    if language not in languages:
        warnings.append(f"{card.checkpoint_id} was trained on {', '.join(languages)}, not on {language}.")
    unknown = set(PhonemeTable(card.phoneme_symbols).unknown(symbols))
    if unknown:
        warnings.append(f"{card.checkpoint_id} has no symbol for {' '.join(sorted(unknown))}.")
    # Every table has the symbols of all languages; a row of the embedding that was never trained is noise.
    unseen = set(symbols) - unknown - set(card.trained_symbols) if card.trained_symbols else set()
    if spoken := sorted(one for one in unseen if any(character.isalnum() for character in one)):
        warnings.append(f"{card.checkpoint_id} was trained without the phonemes {' '.join(spoken)}.")
    return warnings
