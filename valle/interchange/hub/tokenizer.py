"""The phoneme table as `tokenizer.json`: it encodes the phonemes of a text, written as one string."""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from valle.phonemes.pieces import AnyTable, PieceTable, merges_of
from valle.phonemes.table import BEGIN, END, MASK, UNKNOWN

# A letter with the marks that belong to it, as `valle.phonemes.symbols` splits text.
_SYMBOL = r"[^\p{M}ʲʰʷᵝˠˤ][\p{M}ʲʰʷᵝˠˤ]*"


def tokenizer_of(table: AnyTable) -> Tokenizer:
    """Return a tokenizer that gives the integers of the table for phonemes in one string."""
    if isinstance(table, PieceTable):
        strings = dict(table.strings)
        tokenizer = Tokenizer(BPE(strings, merges_of(strings), unk_token=UNKNOWN, fuse_unk=False))
    else:
        vocabulary = {symbol: number for number, symbol in enumerate(table.symbols)}
        tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = Split(Regex(_SYMBOL), behavior="isolated")
    ends = [(BEGIN, table.encode([])[0]), (END, table.encode([])[-1])]
    tokenizer.post_processor = TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=ends)
    return tokenizer


def write_tokenizer(table: AnyTable, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into a folder."""
    tokenizer_of(table).save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": UNKNOWN,
        "bos_token": BEGIN,
        "eos_token": END,
        "mask_token": MASK,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
