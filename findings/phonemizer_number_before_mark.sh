#!/usr/bin/env bash
# phonemizer 3.4.0: a sentence that ends in a decimal number comes back as two lines, cut inside the number.
#
# With kept punctuation, the final full stop is searched from the start of the text, so the point inside "3.14" is
# taken for it. One text gives two lines; whoever keeps the first line loses the rest of the sentence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet phonemizer==3.4.0 espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import espeakng_loader
from phonemizer.backend import EspeakBackend
from phonemizer.backend.espeak.wrapper import EspeakWrapper

EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
print("phonemizer", version("phonemizer"), "espeakng-loader", version("espeakng-loader"))
backend = EspeakBackend("en-us", preserve_punctuation=True)
for text in ("Pi is 3.14.", "Pi is 3.14"):
    lines = backend.phonemize([text], strip=True)
    print(f"{text!r}: {len(lines)} line(s): {lines}")
    assert len(lines) == (2 if text.endswith(".") else 1), "the number of lines changed"
PYTHON
