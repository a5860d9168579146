#!/usr/bin/env bash
# phonemizer 3.4.0 with kept punctuation: a compiled pattern as marks also splits at white space, so that every word is
# read alone; and a text that ends in a decimal number comes back as two lines, since the point inside the number is
# taken for the mark at the end. Both are silent. A caller that keeps the first line loses the rest of the sentence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet phonemizer==3.4.0 espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'EOF'
import logging
import re
from importlib.metadata import version

import espeakng_loader
from phonemizer.backend import EspeakBackend
from phonemizer.backend.espeak.wrapper import EspeakWrapper
from phonemizer.separator import Separator

EspeakWrapper.set_library(espeakng_loader.get_library_path())
EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
quiet = logging.getLogger("quiet")
quiet.setLevel(logging.ERROR)
separator = Separator(phone="", syllable="", word=" ")


def phonemes(text, marks):
    backend = EspeakBackend(
        "en-us", punctuation_marks=marks, preserve_punctuation=True, with_stress=True, logger=quiet
    )
    return backend.phonemize([text], separator=separator, strip=True)


print("phonemizer", version("phonemizer"), "espeakng-loader", version("espeakng-loader"))
whole, alone = phonemes("I have a dog.", ",.!?"), phonemes("I have a dog.", re.compile("[,.!?]"))
decimal = phonemes("Pi is 3.14.", ",.!?")
print("marks as a string: ", whole)
print("marks as a pattern:", alone)
print("a decimal at the end:", decimal)
assert whole != alone, "a pattern no longer splits at white space"
assert len(decimal) == 2, "a text with a decimal at its end is one line now"
EOF
