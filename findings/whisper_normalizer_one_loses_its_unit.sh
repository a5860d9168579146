#!/usr/bin/env bash
# whisper_normalizer 0.1.15 and transformers 5.24.0: Whisper's English normaliser deletes the unit of the number one.
#
# "1%", "one percent", "$1", "one dollar" and "£1" all become "one"; with two they become "2%", "$2" and "£2". The rule that turns "1"
# back into "one" runs last and its neighbours were symbols by then, which are removed. So word error rates do not
# count "one dollar" for "one percent", nor a missing unit; texts with units of one need a check of their own.
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
ones = ("1%", "one percent", "$1", "one dollar", "£1", "one pound")
twos = ("2%", "two percent", "$2", "two dollars", "£2", "two pounds")
for name, apply in normalizers.items():
    print(name, {text: apply(f"it costs {text} today") for text in (*ones, *twos)})
    assert len({apply(f"it costs {text} today").split()[2] for text in ones}) == 1, "units of one differ now"
    assert len({apply(f"it costs {text} today") for text in twos}) == 3, "units of two are equal now"
PYTHON
