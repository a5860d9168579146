"""Greedy traces of a fixture, decoded again: AR, levels 1 and up, lengths, prefixes, and masked decoding.

A fixture of traces has `KIND.LABEL.ROW`: codes of codebook 0 (`ar`), of all codebooks (`nar`), frames (`len`), and for
masked decoding `narlen.VARIANT.LABEL.ROW`, LABEL `batch` for rows decoded together. All are by the sums of the newer
era.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from valle.interchange.verify.demasking import Demasking, demask
from valle.interchange.verify.modes import Arrays
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Decoded, Utterance
from valle.synthesis.decoding.rest import FrameSpan, decode_rest
from valle.synthesis.decoding.seeds import rest_generator
from valle.synthesis.decoding.tokens import decode_tokens
from valle.synthesis.options import SamplingOptions
from valle.tasks.length import LENGTH

DIGITS = 9
BROKEN = "rows that ended kept appending digits"


@dataclass(frozen=True, slots=True)
class TraceResult:
    """True if a trace is equal; None when it is broken in the original program."""

    name: str
    is_equal: bool | None
    note: str = ""


def compare_traces(model: ValleModel, inputs: Arrays, traces: Arrays) -> list[TraceResult]:
    """Decode every trace of a fixture again and compare it."""
    results = []
    for name in sorted(traces):
        parts = name.split(".")
        if not parts[-1].isdigit():  # the steps of a trace, which its end depends on
            continue
        results.append(_compare(model, inputs, traces, name))
    return results


def _compare(model: ValleModel, inputs: Arrays, traces: Arrays, name: str) -> TraceResult:
    kind, *rest, number = name.split(".")
    label, row = rest[-1] if rest else "", int(number)
    rows = _rows_of(traces, name) if label == "batch" else [row]
    conditions = [condition_of(inputs, one, model.config.num_codebooks) for one in rows]
    index = rows.index(row)
    match kind:
        case "ar":
            return _equal(name, _ar(model, conditions, _steps(traces, kind))[index].codes[0], traces[name])
        case "ar_prefix":
            steps = _steps(traces, kind)
            return _equal(name, _ar(model, [_prefixed(inputs, row, model)], steps)[0].codes[0], traces[name])
        case "nar":
            first = [np.asarray(traces[_named(name, one)])[:, 0] for one in rows]
            return _equal(name, _upper(model, conditions, first)[index].T, traces[name])
        case "len" if label == "batch" and int(traces[name]) != int(traces.get(f"len.row{row}.{row}", traces[name])):
            return TraceResult(name, None, BROKEN)
        case "len":
            return _equal(name, np.array(_lengths(model, conditions)[index]), traces[name])
        case "narlen":
            lengths = [len(traces[_named(name, one)]) for one in rows]
            options = _variant(rest[0], _num_rounds(traces))
            return _equal(name, demask(model, conditions, lengths, options)[index], traces[name])
        case "narlen_then_nar":
            first = [np.asarray(traces[name])[:, 0]]
            variants = [_variant(one, _num_rounds(traces)) for one in ("top_no0", "top_no1")]
            masked = [demask(model, conditions, [len(first[0])], options)[0] for options in variants]
            codes = _upper(model, conditions, first)[0].T
            is_first_equal = any(np.array_equal(one, first[0]) for one in masked)
            return TraceResult(name, is_first_equal and np.array_equal(codes, traces[name]))
    return TraceResult(name, None, "no such decoding of ours")


def _rows_of(traces: Arrays, name: str) -> list[int]:
    stem = name.rsplit(".", 1)[0]
    return sorted(
        int(other.rsplit(".", 1)[1])
        for other in traces
        if other.rsplit(".", 1)[0] == stem and other.rsplit(".", 1)[1].isdigit()
    )


def _steps(traces: Arrays, kind: str) -> int:
    """Return the frames after which traces were cut: those of the longest one, which all others ended before."""
    return max(len(traces[name]) for name in traces if name.split(".")[0] == kind)


def _num_rounds(traces: Arrays) -> int:
    """Return the rounds of masked decoding, as far as a trace of its steps tells."""
    return next((len(traces[name]) for name in traces if name.endswith(".step_inputs")), 5)


def _named(name: str, row: int) -> str:
    return f"{name.rsplit('.', 1)[0]}.{row}"


def _equal(name: str, ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> TraceResult:
    return TraceResult(name, bool(np.array_equal(ours.astype(np.int64), theirs)))


def condition_of(inputs: Arrays, row: int, num_codebooks: int) -> Condition:
    """Return the condition of an input row."""
    return Condition(
        symbol_ids=inputs[f"in.phn.{row}"].astype(np.int64),
        language_id=int(inputs[f"in.lang.{row}"][0]),
        prompt=inputs[f"in.prom.{row}"].T.astype(np.int16),
        prefix=np.zeros((num_codebooks, 0), dtype=np.int16),
    )


def _prefixed(inputs: Arrays, row: int, model: ValleModel) -> Condition:
    """Return the condition of a row that continues the codes of the other one: one text, without an end inside."""
    other = 1 - row
    condition = condition_of(inputs, row, model.config.num_codebooks)
    before = inputs[f"in.phn.{other}"].astype(np.int64)
    return replace(
        condition,
        symbol_ids=np.concatenate([before[:-1], condition.symbol_ids[1:]]),
        prefix=inputs[f"in.resp.{other}"].T.astype(np.int16),
    )


def _ar(model: ValleModel, conditions: Sequence[Condition], steps: int) -> list[Decoded]:
    options = SamplingOptions(temperature=0, max_seconds=(steps + 0.5) / model.config.frame_rate)
    return decode_autoregressively(model, [Utterance(one, options) for one in conditions])


@torch.inference_mode()
def _upper(
    model: ValleModel, conditions: Sequence[Condition], first: Sequence[NDArray[np.generic]]
) -> list[NDArray[np.int16]]:
    spans = []
    for one, codes in zip(conditions, first, strict=True):
        utterance = Utterance(one, SamplingOptions())
        spans.append(
            FrameSpan(utterance, one.prefix, codes[None].astype(np.int16), rest_generator(utterance.options.seed))
        )
    return decode_rest(model, spans)


def _lengths(model: ValleModel, conditions: Sequence[Condition]) -> list[int]:
    rows = [LENGTH.row(one.symbol_ids, one.language_id, one.prompt, at_once=False) for one in conditions]
    digits = decode_tokens(model, LENGTH.digit_by_digit, rows, longest=DIGITS)
    return [int("".join(map(str, row))) if row else 0 for row in digits]


def _variant(name: str, num_rounds: int) -> Demasking:
    """Return the masked decoding that a variant names, such as `top_no0_masked_only_remask`."""
    return Demasking(
        num_rounds=num_rounds,
        top_sigma=0.0 if "top_no0" in name else 1.0,
        masked_only="masked_only" in name,
        remask="remask" in name,
        rescale=0.0 if "norescale" in name else 0.75,
    )
