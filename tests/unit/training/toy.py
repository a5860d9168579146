"""A training set whose codes follow from symbols and speaker, so that a tiny model can learn it in seconds."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from valle.codec.base import CodecSpec
from valle.data.selection.training_set import TrainingSetCard, save_card
from warehouse.lake.arrow import to_table
from warehouse.lake.data_files import write_rows, write_table
from warehouse.model_rows import TrainingItemRow
from warehouse.rows import CodesRow

SPEC = CodecSpec(name="toy", revision="1", sample_rate=800, hop_length=16, num_codebooks=8, codebook_size=32)
SYMBOLS = ("<unk>", "<bos>", "<eos>", "<mask>", " ", *"abcdefgh")
FRAMES_PER_SYMBOL = 2


def codes_for(symbols, speaker, frames_per_symbol=FRAMES_PER_SYMBOL):
    """Codes [8, T]: every symbol lasts two frames; codebook k shifts by speaker and by the codebook below."""
    base = np.repeat([SYMBOLS.index(symbol) * 2 for symbol in symbols], frames_per_symbol)
    base = base + np.tile(np.arange(frames_per_symbol), len(symbols))
    return np.stack([(base + k * (speaker + 1)) % SPEC.codebook_size for k in range(8)]).astype(np.int16)


def _word_times(num_words, seconds):
    edges = np.arange(num_words + 1) * seconds
    return np.stack([edges[:-1], edges[1:]], axis=1).ravel().tolist()


def make_toy_set(
    directory: Path,
    *,
    num_items: int = 40,
    num_speakers: int = 4,
    shortest: int = 4,
    longest: int = 12,
    seed: int = 0,
    weight: float = 1.0,
    dev_items: int = 4,
    spec: CodecSpec = SPEC,
    frames_per_symbol: int = FRAMES_PER_SYMBOL,
) -> Path:
    """Write the set below `directory` and return the directory of its `set.json`."""
    rng = np.random.default_rng(seed)
    lake, home = directory / "lake", directory / "training_sets" / "toy"
    home.mkdir(parents=True)
    texts = [list(rng.choice(list("abcdefgh"), rng.integers(shortest, longest + 1))) for _ in range(num_items)]
    speakers = [index % num_speakers for index in range(num_items)]
    codes = [codes_for(text, speaker, frames_per_symbol) for text, speaker in zip(texts, speakers, strict=True)]
    part = write_rows(
        lake / "codes",
        CodesRow,
        [
            CodesRow(
                segment_id=f"s{index:05d}",
                corpus="toy",
                shard="0",
                fingerprint="f",
                codec="toy@1",
                num_frames=block.shape[1],
                num_codebooks=8,
                codes=block.tolist(),
                drop_reason=None,
                drop_detail=None,
            )
            for index, block in enumerate(codes)
        ],
    )
    # Small row groups, so that a toy has several.
    path = lake / "codes" / part.name
    pq.write_table(pq.read_table(path), path, row_group_size=256)
    items = [
        TrainingItemRow(
            training_set="toy-1",
            segment_id=f"s{index:05d}",
            recording_id=f"r{index}",
            corpus="toy",
            speaker=f"speaker {speakers[index]}",
            language="en",
            licence="CC0-1.0",
            split="dev" if index < dev_items else "train",
            weight=weight,
            duration=codes[index].shape[1] / spec.frame_rate,
            text="".join(texts[index]),
            symbols=texts[index],
            num_frames=codes[index].shape[1],
            codes_file=f"codes/{part.name}",
            codes_row_group=index // 256,
            codes_row=index % 256,
            similar=None,
            # Every symbol is a word.
            word_times=_word_times(len(texts[index]), frames_per_symbol / spec.frame_rate),
        )
        for index in range(num_items)
    ]
    items_file = write_table(lake / "training_items", TrainingItemRow, to_table(TrainingItemRow, items))
    card = TrainingSetCard(
        id="toy-1",
        used_symbols=tuple(sorted({symbol for text in texts[dev_items:] for symbol in text})),
        name="toy",
        created_at=datetime.now(UTC).isoformat(),
        where="true",
        weight="1",
        split_policy="{}",
        codec=spec,
        phoneme_symbols=SYMBOLS,
        table_versions={},
        utterances={"train": num_items - dev_items, "dev": dev_items, "test": 0},
        hours={"train": 0.0, "dev": 0.0, "test": 0.0},
        licences={},
    )
    save_card(card, home, lake="../../lake", items_file=f"training_items/{items_file.name}")
    return home
