#!/usr/bin/env bash
# num2words 0.5.14: French ordinals of numbers that end in quatre-vingts or cents keep the plural s of the cardinal
# (quatre-vingtsième, deux centsième); French writes quatre-vingtième and deux centième.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet num2words==0.5.14
"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from num2words import num2words

print("num2words", version("num2words"))
words = {number: num2words(number, lang="fr", to="ordinal") for number in (79, 80, 200, 21)}
print(words)
assert words[80] == "quatre-vingtsième" and words[200] == "deux centsième", "the ordinals changed"
EOF
