#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2): the length of an MP3 is the frame count of its Info header, not what is decoded.
#
# A valid MP3 whose header counts half of its frames opens without an error, reports half the length, and a plain read
# returns half of the audio. Tools that join or edit MP3 files without rewriting the header leave such files.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
rate = 24000
tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(4 * rate) / rate)
soundfile.write("tone.mp3", tone, rate, format="MP3")
content = bytearray(open("tone.mp3", "rb").read())
mark = max(content.find(b"Info"), content.find(b"Xing"))
assert mark > 0, "the encoder wrote no Info header"
frames = int.from_bytes(content[mark + 8 : mark + 12], "big")
content[mark + 8 : mark + 12] = (frames // 2).to_bytes(4, "big")
open("half.mp3", "wb").write(content)
whole, half = soundfile.read("tone.mp3")[0], soundfile.read("half.mp3")[0]
print(f"header of {frames} frames: {len(whole) / rate:.2f} s; header of {frames // 2}: {len(half) / rate:.2f} s")
assert len(half) < 0.6 * len(whole), "the length no longer follows the header"
PYTHON
