#!/usr/bin/env bash
# phonemizer 3.4.0: punctuation marks given as a compiled pattern also split the text at white space.
#
# With a string of marks a sentence reaches espeak-ng whole. With a compiled pattern of the same marks every word is
# phonemized alone: "a" becomes the letter name, "the" before a vowel gets the wrong vowel, French loses liaison.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet phonemizer==3.4.0 espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'PYTHON'
import re
from importlib.metadata import version

import espeakng_loader
from phonemizer.backend import EspeakBackend
from phonemizer.backend.espeak.wrapper import EspeakWrapper
from phonemizer.separator import Separator

EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
print("phonemizer", version("phonemizer"), "espeakng-loader", version("espeakng-loader"))


def read(marks, text, voice):
    backend = EspeakBackend(voice, punctuation_marks=marks, preserve_punctuation=True, with_stress=True)
    return backend.phonemize([text], Separator(phone="", syllable="", word=" "), strip=True)[0]


for voice, text in (("en-us", "I saw a dog."), ("fr-fr", "les enfants.")):
    as_string, as_pattern = read(".,!?", text, voice), read(re.compile("[.,!?]+"), text, voice)
    print(f"{text!r}  string: {as_string!r}  pattern: {as_pattern!r}")
    assert as_string != as_pattern, "both forms of the marks now give the same phonemes"
PYTHON
