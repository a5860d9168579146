#!/usr/bin/env bash
# whisper_normalizer 0.1.15: "'cause" becomes "because", in openai-whisper 20250625 and transformers 5.24.0 "cause".
#
# The package offers itself as the normaliser of Whisper, and 6,000 random texts of numbers, units and contractions had
# no other difference. Word error rates of conversations, where Whisper writes "'cause" often, are so not the same by
# the two: a reference with "because" counts an error by one and none by the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet whisper_normalizer==0.1.15 transformers==5.24.0 more-itertools==10.8.0 regex
"$folder/venv/bin/pip" install --quiet --no-deps openai-whisper==20250625
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import importlib
import sys
import types
from importlib.metadata import distribution, version

from transformers.models.whisper.english_normalizer import EnglishTextNormalizer as OfTransformers
from whisper_normalizer.english import EnglishTextNormalizer

# The normaliser of openai-whisper alone: its package imports torch.
folder = distribution("openai-whisper").locate_file("whisper/normalizers")
sys.modules["normalizers"] = types.ModuleType("normalizers")
sys.modules["normalizers"].__path__ = [str(folder)]
of_openai = importlib.import_module("normalizers.english")

normalize = EnglishTextNormalizer()
normalizers = {
    "whisper_normalizer": normalize,
    "transformers": OfTransformers(normalize.standardize_spellings.mapping),
    "openai-whisper": of_openai.EnglishTextNormalizer(),
}
text = "I left 'cause it's late"
read = {f"{name} {version(name)}": apply(text) for name, apply in normalizers.items()}
print(read)
assert list(read.values()) == ["i left because it is late", "i left cause it is late", "i left cause it is late"]
PYTHON
