#!/usr/bin/env bash
# soundfile 0.14.0 with libsndfile 1.2.2: of an Ogg file with several streams in a row (RFC 3533 calls it chained; cutting
# Internet radio gives such files) only the first stream is counted and read, without an error.
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
streams = []
for seed in (1, 2):
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, 24_000)
    soundfile.write(buffer, noise, 24_000, format="OGG", subtype="VORBIS")
    streams.append(buffer.getvalue())
serials = {stream[14:18] for stream in streams}
assert len(serials) == 2, "chained streams have different serial numbers"
with soundfile.SoundFile(io.BytesIO(b"".join(streams))) as sound:
    frames, read = sound.frames, len(sound.read())
print("frames", frames, "read", read, "of", 2 * 24_000)
assert frames == read == 24_000, "the behaviour changed"
EOF
