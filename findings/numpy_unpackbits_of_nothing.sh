#!/usr/bin/env bash
# numpy 2.4.6: unpackbits with `count` returns uninitialized memory for an empty array, where it pads others with zeros.
#
# A bitmap that was never written is so read as random bits. `np.unpackbits(packed, count=n)` needs a check for length 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np

print("numpy", np.__version__)
short = np.unpackbits(np.zeros(1, np.uint8), count=40)
print("one byte, count 40: padded with zeros, sum", short.sum())
assert short.sum() == 0
values = set()
for size in range(16, 400):
    used = np.full(size, 255, np.uint8)  # memory that the next allocation of this size reuses
    del used
    values.update(np.unpackbits(np.zeros(0, np.uint8), count=size).tolist())
print("no byte, count 16 to 399:", len(values), "different values, largest", max(values))
assert max(values) > 1, "an empty array is now padded with zeros"
PYTHON
