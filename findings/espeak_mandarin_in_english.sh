#!/usr/bin/env bash
# espeak-ng 1.52 (espeakng-loader 0.2.4): the Mandarin voice reads common characters such as 熊 (bear), 兄 (brother) and
# 穷 (poor) as English letters and numbers, "(en)kʃəŋtˈuː(cmn)"; espeak-ng 1.51 reads them as Mandarin syllables.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet phonemizer==3.4.0 espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'EOF'
import espeakng_loader
from phonemizer.backend import EspeakBackend
from phonemizer.backend.espeak.wrapper import EspeakWrapper

EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
backend = EspeakBackend("cmn-latn-pinyin", with_stress=True)
print("espeak-ng", ".".join(map(str, backend.version())))
phonemes = dict(zip("熊兄穷人", backend.phonemize([*"熊兄穷人"], strip=True)))
print(phonemes)
assert all("(en)" in phonemes[character] for character in "熊兄穷"), "the characters are Mandarin now"
assert "(en)" not in phonemes["人"]
EOF
