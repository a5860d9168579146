#!/usr/bin/env bash
# soundfile 0.14.0 with libsndfile 1.2.2: a FLAC whose STREAMINFO declares no length (as an encoder that writes to a pipe
# leaves it; RFC 9639 allows 0) cannot be read by `soundfile.read`, although every sample decodes when nothing seeks:
# soundfile seeks after each read of a file that libsndfile calls seekable.
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
buffer = io.BytesIO()
soundfile.write(buffer, np.zeros(16_000, np.float32), 16_000, format="FLAC")
content = bytearray(buffer.getvalue())
content[21] &= 0xF0
content[22:26] = bytes(4)


class Sequential(soundfile.SoundFile):
    def seekable(self):
        return False


outcomes = []
for kind in (soundfile.SoundFile, Sequential):
    with kind(io.BytesIO(bytes(content))) as sound:
        try:
            outcomes.append(len(sound.read(16_000)))
        except soundfile.LibsndfileError as error:
            outcomes.append(str(error))
print(outcomes)
assert outcomes[0] == "Internal psf_fseek() failed." and outcomes[1] == 16_000, "the behaviour changed"
EOF
