#!/usr/bin/env bash
# soundfile 0.14.0 with libsndfile 1.2.2: a CAF whose data chunk has the size -1, which Apple's specification allows for
# data that goes to the end of the file (recorders leave it), is "malformed", while an AU file with its number for an
# unknown size (0xffffffff) is read whole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'EOF'
import io
from importlib.metadata import version

import numpy as np
import soundfile

print("soundfile", version("soundfile"), soundfile.__libsndfile_version__)
outcomes = {}
for container, width in (("CAF", 8), ("AU", 4)):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000, np.float32), 16_000, format=container, subtype="PCM_16")
    content = bytearray(buffer.getvalue())
    at = content.find(b"data") + 4 if container == "CAF" else 8
    content[at : at + width] = b"\xff" * width
    try:
        outcomes[container] = len(soundfile.read(io.BytesIO(bytes(content)))[0])
    except soundfile.LibsndfileError as error:
        outcomes[container] = error.error_string
print(outcomes)
assert outcomes["AU"] == 16_000 and "malformed" in str(outcomes["CAF"]), "the behaviour changed"
EOF
