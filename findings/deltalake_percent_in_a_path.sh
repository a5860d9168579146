#!/usr/bin/env bash
# deltalake 1.6.6: a table below a folder whose name holds a per cent sign and two hexadecimal digits cannot be opened.
#
# `write_deltalake` to a plain path below "my%20data" writes the table there and then fails: the path is decoded on the
# way and the log is looked for below "my data". A folder of the same name without the two digits works. Folders get
# such names from download tools that keep the encoding of an address.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet deltalake==1.6.6 pyarrow==26.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import pyarrow
from deltalake import DeltaTable, write_deltalake

print("deltalake", version("deltalake"))
rows = pyarrow.table({"a": [1]})
failed = {}
for name in ("plain", "100% data", "my%20data"):
    target = Path(name, "table").absolute()
    try:
        write_deltalake(str(target), rows)
        failed[name] = DeltaTable(str(target)).version() != 0
    except Exception as error:
        failed[name] = True
        print(f"{name}: {type(error).__name__}: {str(error)[:120]}")
print(failed)
assert failed == {"plain": False, "100% data": False, "my%20data": True}, "such a path works now"
PYTHON
