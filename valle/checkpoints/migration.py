"""Migration of checkpoint cards of format 1: `valle migrate CHECKPOINT...`.

Only cards change: the weights are the same in both formats. Format 1 has a field `schema` instead of `format`, other
names of options and metrics, and a cursor that counts batches. The state of a trainer is not migrated, so a migrated
checkpoint starts a new run (`start_from`) but does not continue its own.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valle.checkpoints.runs import CARD, FORMAT, unreadable
from warehouse.errors import CheckpointError
from warehouse.files import atomic_write

# The field `schema` of cards of format 1 whose weights this version reads.
_SCHEMA = 3
_OPTIONS = {
    "level_law": "codebook_schedule",
    "level_weights": "codebook_weights",
    "later_level_law": "later_codebook_schedule",
    "level_law_changes": "codebook_schedule_epochs",
    "masked_share": "nar_len_ratio",
    "continuation_share": "continuation_ratio",
    "length_share": "length_ratio",
    "transcription_share": "transcription_ratio",
    "similar_prompts": "similar_prompt_ratio",
    "codes_start": "init_code_embeddings",
}
_SAMPLING = {"shortest": "min_duration_ratio", "slowness": "duration_scale", "banned": "suppressed_codes"}
_METRICS = {
    "top10_nar_by_level": "top10_nar_by_codebook",
    "dev_top10_nar_by_level": "dev_top10_nar_by_codebook",
}


def migrate_card(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a card of format 1 in the current format. Raises CheckpointError for other cards."""
    if content.get("schema") != _SCHEMA:
        raise CheckpointError(f"This card has no field schema = {_SCHEMA}; only cards of format 1 can be migrated.")
    migrated = {name: value for name, value in content.items() if name != "schema"}
    options = _rename(content["options"], _OPTIONS)
    if "sampling" in options:
        options["sampling"] = _rename(options["sampling"], _SAMPLING)
    return migrated | {
        "options": options,
        "metrics": _rename(content["metrics"], _METRICS),
        # Batches cannot be converted to rows; whoever trains on from here starts with the next epoch.
        "cursor": {"epoch": content["cursor"]["epoch"] + 1, "rows": 0, "done": ""},
        "format": FORMAT,
    }


def _rename(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def migrate_checkpoint(checkpoint: Path) -> bool:
    """Rewrite the card of a checkpoint in the current format; return false where it has that format already.

    Raises CheckpointError for a card that is damaged or of another version.
    """
    path = checkpoint / CARD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") == FORMAT:
            return False
        migrated = migrate_card(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(checkpoint, error) from error
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(migrated, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return True
