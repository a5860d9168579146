"""Measure how decoding and loading scale: ratios measured in one run, so that they mean the same on any machine.

`python benchmarks/decode.py [--size tiny] [--large 220m] [--output FILE.json]` prints one line per ratio with its
bound and fails when one is missed. Times are medians of CPU seconds of this process, on one thread.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from figures import report

from valle.codec.base import CodecSpec
from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.items.load import load_items
from valle.data.loader import collate_batches
from valle.data.options import RowOptions
from valle.data.sampler import SamplerOptions, iterate_batches, padding_fraction, plan_epoch
from valle.model.batch import Batch, make_batch
from valle.model.config import ModelConfig, preset
from valle.model.layout import Mode
from valle.model.loss import sequence_loss
from valle.model.row import Row
from valle.model.trunks.cpu.few_rows import FewRowsLinear
from valle.model.trunks.cpu.int8 import use_int8
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.options import BeamOptions, SamplingOptions
from valle.tasks.tts import TTS
from warehouse.lake.arrow import to_table
from warehouse.lake.data_files import write_rows
from warehouse.model_rows import TrainingItemRow
from warehouse.rows import CodesRow

SPEC = CodecSpec("benchmark", "1", 24_000, 320, 8, 1024)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _row(rng: np.random.Generator, frames: int) -> Row:
    return TTS.row(
        symbol_ids=rng.integers(4, 60, 60),
        language_id=1,
        codebook=0,
        prompt=rng.integers(0, 1024, (SPEC.num_codebooks, 225)).astype(np.int16),
        target=rng.integers(0, 1024, (1, frames)).astype(np.int16),
    )


def _batch(config: ModelConfig, frames: int, rows: int = 1) -> Batch:
    rng = np.random.default_rng(0)
    return make_batch(TTS.layout(Mode.AR), [_row(rng, frames) for _ in range(rows)], config)


@torch.inference_mode()
def _decode(model: ValleModel, steps: int, *, rows: int = 1, start: int = 0) -> list[float]:
    """CPU seconds of every step after a prefill, in a cache with room for all of them, as synthesis decodes."""
    batch = _batch(model.config, start, rows)
    cache = model.new_cache(batch.positions.shape[1] + steps)
    model.prefill(batch, cache)
    codes = torch.zeros(rows, 1, dtype=torch.long)
    layout = TTS.layout(Mode.AR)
    return [
        _seconds(lambda frame=start + step: model.step(layout, codes, torch.full((rows,), frame), cache))  # type: ignore[misc]
        for step in range(steps)
    ]


@torch.inference_mode()
def _full_forward(model: ValleModel, frames: int) -> float:
    batch = _batch(model.config, frames)
    return statistics.median(_seconds(lambda: model(batch)) for _ in range(9))


def _training_seconds(model: ValleModel, batches: list[Batch]) -> float:
    """CPU seconds of a training step, median."""

    def step(batch: Batch) -> None:
        report = sequence_loss(model(batch), batch)
        torch.autograd.backward(report.total)
        model.zero_grad()

    return statistics.median(_seconds(lambda batch=batch: step(batch)) for batch in batches)  # type: ignore[misc]


def _make_set(lake: Path, num_items: int) -> list[TrainingItemRow]:
    rng = np.random.default_rng(0)
    frames = (np.clip(rng.lognormal(0.8, 0.5, num_items), 0.6, 12) * 75).astype(int)
    rows = [
        CodesRow(
            segment_id=f"s{index:06d}",
            corpus="benchmark",
            shard="0",
            fingerprint="f",
            codec="benchmark@1",
            num_frames=int(count),
            num_codebooks=8,
            codes=rng.integers(0, 1024, (8, count)).tolist(),
            drop_reason=None,
            drop_detail=None,
        )
        for index, count in enumerate(frames)
    ]
    part = write_rows(lake / "codes", CodesRow, rows)
    group = pq.read_metadata(lake / "codes" / part.name).row_group(0).num_rows
    return [
        TrainingItemRow(
            training_set="benchmark",
            segment_id=row.segment_id,
            recording_id=row.segment_id,
            corpus="benchmark",
            speaker=f"p{index % 28}",
            language="en",
            licence="CC0-1.0",
            split="train",
            weight=1.0,
            duration=row.num_frames / 75,
            text="",
            symbols=["a"] * (row.num_frames // 6 + 1),
            num_frames=row.num_frames,
            codes_file=f"codes/{part.name}",
            codes_row_group=index // group,
            codes_row=index % group,
            similar=None,
        )
        for index, row in enumerate(rows)
    ]


def _padding(*, num_items: int = 20_000, batch_tokens: int = 16_384) -> float:
    """Share of the slots of an epoch that are padding, with every task and mode in it."""
    rng = np.random.default_rng(0)
    seconds = np.clip(rng.lognormal(1.65, 0.6, num_items), 0.6, 20)
    table = pa.table(
        {
            "segment_id": [f"s{index}" for index in range(num_items)],
            "speaker": [f"p{index}" for index in rng.integers(0, 200, num_items)],
            "language": ["en"] * num_items,
            "weight": pa.array(np.ones(num_items), pa.float32()),
            "symbols": [["a"] * int(12 * duration) for duration in seconds],
            "num_frames": pa.array((seconds * 75).astype(int), pa.int32()),
            "codes_file": ["codes/part.parquet"] * num_items,
            "codes_row_group": pa.array(np.arange(num_items) // 256, pa.int32()),
            "codes_row": pa.array(np.arange(num_items) % 256, pa.int32()),
        }
    )
    items = load_items(table, lambda symbols: [1, *[5] * len(symbols), 2], lambda language: 1)
    config = preset("nano", SPEC, num_symbols=64, languages=["en"])
    options = SamplerOptions(rows=RowOptions(), batch_tokens=batch_tokens, config=config)
    return padding_fraction(plan_epoch(items, options, 0))


def _memory_floor(model: ValleModel) -> float:
    """CPU seconds of the matrix products of one step at batch 1 and of nothing else: every weight is read once."""
    weights = [layer.weight for layer in model.trunk.modules() if isinstance(layer, torch.nn.Linear)]
    first, last = model.heads.spans["codes", 0]
    weights.append(model.heads.weight[first:last])
    vectors = [torch.randn(1, weight.shape[1]) for weight in weights]

    def products() -> None:
        for vector, weight in zip(vectors, weights, strict=True):
            torch.nn.functional.linear(vector, weight)

    with torch.inference_mode():
        return statistics.median(_seconds(products) for _ in range(9))


def _step_over_floor(size: str) -> float:
    model = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    _decode(model, 3)
    return statistics.median(_decode(model, 25)) / _memory_floor(model)


def _of_torch(lean: ValleModel) -> ValleModel:
    """Return a copy that decodes by the modules of its trunk and by torch's products."""
    plain = copy.deepcopy(lean)
    for layer in plain.trunk.modules():
        if isinstance(layer, FewRowsLinear):
            # The instance alone: other models of the benchmark keep their own products.
            layer.forward = partial(torch.nn.Linear.forward, layer)  # type: ignore[method-assign]
    # A hook that changes nothing keeps a trunk from its lean step.
    plain.trunk.get_submodule("norm").register_forward_hook(lambda module, inputs, output: None)
    return plain


def _modules_over_lean_step(size: str, rows: int = 1) -> float:
    """CPU seconds of a step of torch, through the modules of the trunk, over those of its lean step, in turns."""
    lean = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    plain = _of_torch(lean)
    turns = [(_decode(plain, 20, rows=rows), _decode(lean, 20, rows=rows)) for _ in range(5)]
    modules, step = (statistics.median(statistics.median(turn[side]) for turn in turns) for side in (0, 1))
    return modules / step


def _in_8_bits(size: str) -> tuple[ValleModel, ValleModel]:
    """Return a model as synthesis holds it on a CPU: in fp32 and in 8 bits."""
    plain = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    rounded = copy.deepcopy(plain)
    use_int8(rounded)
    return plain, rounded


def _fp32_over_int8_step(size: str) -> float:
    """CPU seconds of a step in fp32 over those in 8 bits, in turns."""
    models = _in_8_bits(size)
    turns = [[_decode(model, 6) for model in models] for _ in range(3)]
    plain, rounded = (statistics.median(second for turn in turns for second in turn[side]) for side in (0, 1))
    return plain / rounded


@torch.inference_mode()
def _fp32_over_int8_nar(size: str, frames: int = 225) -> float:
    """CPU seconds of a NAR pass in fp32 over those in 8 bits, in turns."""
    models, rng = _in_8_bits(size), np.random.default_rng(0)
    prompt, target = (rng.integers(0, 1024, (books, frames)).astype(np.int16) for books in (SPEC.num_codebooks, 3))
    row = TTS.row(symbol_ids=rng.integers(4, 60, 60), language_id=1, codebook=3, prompt=prompt, target=target)
    batch = make_batch(TTS.layout(Mode.NAR), [row], models[0].config)
    turns = [[_seconds(partial(model, batch)) for model in models] for _ in range(5)]
    plain, rounded = (statistics.median(times) for times in zip(*turns, strict=True))
    return plain / rounded


def _rows_over_one(size: str, rows: int) -> float:
    """CPU seconds of a step of several rows over those of one row by modules of torch, in turns."""
    model = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    plain = _of_torch(model)
    turns = [(_decode(plain, 8), _decode(model, 8, rows=rows)) for _ in range(3)]
    one, several = (statistics.median(second for turn in turns for second in turn[side]) for side in (0, 1))
    return several / one


def _beams_over_draw(size: str, *, width: int = 4, frames: int = 75) -> float:
    """Time of a search with several beams over that of one draw of as many frames, after a prompt of 3 s."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    prompt = rng.integers(0, 1024, (SPEC.num_codebooks, 225)).astype(np.int16)
    condition = Condition(rng.integers(4, 60, 60), 1, prompt, prompt[:, :0])
    # The text takes longer than the limit, so that both decode as many frames.
    options = SamplingOptions(min_duration_ratio=1, max_seconds=frames / model.config.frame_rate)
    beams = options.model_copy(update={"beam": BeamOptions(width=width)})

    def seconds(chosen: SamplingOptions) -> float:
        return _seconds(lambda: decode_autoregressively(model, [Utterance(condition, chosen)]))

    seconds(options)
    pairs = [(seconds(beams), seconds(options)) for _ in range(3)]
    return statistics.median(searched / drawn for searched, drawn in pairs)


def _loader_ratio(model: ValleModel, *, num_items: int = 1800, batch_tokens: int = 4096) -> float:
    """CPU time of a training step over that of making its batch, decoding of row groups included."""
    with tempfile.TemporaryDirectory() as folder:
        table = to_table(TrainingItemRow, _make_set(Path(folder), num_items))
        items = load_items(table, lambda symbols: [1, *[5] * len(symbols), 2], model.config.language_id)
        rows = RowOptions(prompt_seconds=(2.0, 3.0), nar_len_ratio=0.0, length_ratio=0.0, condition_dropout=0.0)
        options = SamplerOptions(rows=rows, batch_tokens=batch_tokens, config=model.config)
        collator = Collator(items, CodesReader(Path(folder)), model.config)
        source = collate_batches(iterate_batches(items, options, start=Cursor()), collator)
        loaded: list[Batch] = []
        seconds = _seconds(lambda: loaded.extend(batch for batch, _ in islice(source, 100)))
        return _training_seconds(model, loaded[:5]) / (seconds / len(loaded))


def measure(size: str, large: str) -> dict[str, dict[str, float]]:
    """Every ratio with its bound; `at_least` or `at_most`."""
    torch.manual_seed(0)
    model = ValleModel(preset(size, SPEC, num_symbols=64, languages=["en"])).eval()
    _decode(model, 20)
    turns = [(_full_forward(model, 500), statistics.median(_decode(model, 20, start=480))) for _ in range(3)]
    full, step = (statistics.median(seconds) for seconds in zip(*turns, strict=True))
    pairs = [(sum(_decode(model, 750)), sum(_decode(model, 1500))) for _ in range(3)]
    short, long = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    one = statistics.median(_decode(_of_torch(model), 60))
    eight = statistics.median(_decode(model, 60, rows=8))
    return {
        "full forward at 500 frames / cached step": {"value": full / step, "at_least": 20},
        # Attention grows with the frames, all else of a lean step is constant and small; 2 would be no attention.
        "time(1500 frames) / time(750 frames)": {"value": long / short, "at_most": 2.3},
        # By torch, as the steps of several rows below: a lean step of one row is faster by itself.
        "frames per second, 8 rows / 1 row by torch": {"value": 8 * one / eight, "at_least": 3},
        "time of a training step / time to load its batch": {"value": _loader_ratio(model.train()), "at_least": 20},
        f"cached step of {large} / its matrix products alone": {"value": _step_over_floor(large), "at_most": 1.5},
        "step of 20m through modules of torch / lean step": {"value": _modules_over_lean_step("20m"), "at_least": 2},
        f"step of {large} in fp32 / in 8 bits": {
            "value": _fp32_over_int8_step(large),
            "at_least": 1.8 if large == "220m" else 0.7,
        },
        "NAR pass of 20m in fp32 / in 8 bits": {"value": _fp32_over_int8_nar("20m"), "at_least": 1.4},
        f"step of 2 rows (guided) / of 1 row by torch, {large}": {
            "value": _rows_over_one(large, 2),
            "at_most": 1.5,
        },
        f"step of 4 rows / of 1 row by torch, {large}": {"value": _rows_over_one(large, 4), "at_most": 2.6},
        "search with 4 beams / one draw, 1 s of 20m": {"value": _beams_over_draw("20m"), "at_most": 8},
        "padding, in percent of the slots": {"value": 100 * _padding(), "at_most": 3},
    }


def main() -> int:
    """Print the ratios; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="7m", help="size of the model")
    parser.add_argument("--large", default="220m", help="size whose step is compared with its matrix products")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ratios = measure(arguments.size, arguments.large)
    held = []
    for name, ratio in ratios.items():
        side = "at_least" if "at_least" in ratio else "at_most"
        held.append(report(name, ratio["value"], ratio[side], at_least=side == "at_least"))
    if arguments.output:
        arguments.output.write_text(json.dumps({"size": arguments.size, "ratios": ratios}, indent=2) + "\n")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
