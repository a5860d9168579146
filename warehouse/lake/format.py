"""The format number of a lake, in `format.json` beside its tables.

Format 1 has no number; `warehouse/upkeep/migrate.py` converts it.
"""

import json
from functools import cache

from warehouse.errors import LakeError
from warehouse.lake.store import Location, create_text, find_file, read_text, write_text

LAKE_FORMAT = 2
_FILE = "format.json"


_CONTENT = json.dumps({"format": LAKE_FORMAT}) + "\n"


def note_format(root: Location, *, is_new: bool) -> None:
    """Write the format number of a lake; one that is new and has a number keeps it."""
    if is_new:
        create_text(root / _FILE, _CONTENT)
    else:
        write_text(root / _FILE, _CONTENT)


def read_format(root: Location) -> int | None:
    """Return the format number of a lake; None for one without a number. Raises LakeError for a damaged file."""
    if find_file(root / _FILE) is None:
        return None
    try:
        return int(json.loads(read_text(root / _FILE))["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{root / _FILE} is damaged ({error}); run `valle migrate {root}`.") from error


@cache
def require_format(root: Location) -> None:
    """Raise LakeError for a lake of a later format; asked once per process and lake."""
    number = read_format(root)
    if number is not None and number > LAKE_FORMAT:
        raise LakeError(f"The lake {root} has format {number}, this version reads {LAKE_FORMAT}; install a newer one.")
