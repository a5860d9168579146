#!/usr/bin/env bash
# whisper_normalizer 0.1.15 and transformers 5.24.0: "minus five" keeps its sign in Whisper's English normaliser, "-5" loses it.
#
# "minus five degrees" becomes "-5 degrees" and "-5 degrees" becomes "5 degrees". A transcript in digits of a text in
# words so has an error that nobody made, and "-5" for "5" is none. The normaliser is not idempotent for such texts:
# a text that was normalised once must not be normalised again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet whisper_normalizer==0.1.15 transformers==5.24.0
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
from importlib.metadata import version

from transformers.models.whisper.english_normalizer import EnglishTextNormalizer as OfTransformers
from whisper_normalizer.english import EnglishTextNormalizer

normalize = EnglishTextNormalizer()
normalizers = {
    f"whisper_normalizer {version('whisper_normalizer')}": normalize,
    f"transformers {version('transformers')}": OfTransformers(normalize.standardize_spellings.mapping),
}
for name, apply in normalizers.items():
    words, digits = apply("it was minus five degrees"), apply("it was -5 degrees")
    print(name, {"in words": words, "in digits": digits, "in words, twice": apply(words)})
    assert words == "it was -5 degrees", "the sign of words is lost now"
    assert digits == apply(words) == "it was 5 degrees", "the sign of digits is kept now"
PYTHON
