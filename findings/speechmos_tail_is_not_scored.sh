#!/usr/bin/env bash
# speechmos 0.0.1.1: DNSMOS scores windows of 9.01 s at hops of 1 s and leaves the rest of the clip unscored.
#
# Loud noise in the last 0.8 s of a 9.9 s clip changes none of the four scores, so a cut-off tail, a click or a second
# speaker at the end of a segment passes every DNSMOS threshold.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet speechmos==0.0.1.1 librosa==0.11.0 onnxruntime==1.22.1 numpy==2.2.6 pandas==2.3.1
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from speechmos import dnsmos

print("speechmos", version("speechmos"), "onnxruntime", version("onnxruntime"))
rate = 16000
time = np.arange(int(9.9 * rate)) / rate
clip = 0.2 * np.sin(2 * np.pi * 150 * time) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time))
noisy = clip.copy()
noisy[-int(0.8 * rate) :] = np.random.default_rng(0).uniform(-0.9, 0.9, int(0.8 * rate))
scores = [{name: round(float(value), 4) for name, value in dnsmos.run(one, sr=rate).items()} for one in (clip, noisy)]
print("clean", scores[0])
print("noisy", scores[1])
assert scores[0] == scores[1], "the tail now counts"
PYTHON
