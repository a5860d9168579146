"""Count the passes that guesses save, and check that they change no frame.

`python benchmarks/lookahead.py CHECKPOINT [--sentences 8] [--frames 500]`: a checkpoint with a file of heads that guess
further frames (`valle export --format lookahead`) decodes sentences with voices that `english` was never trained on,
once with its guesses and once without. First greedily over a fixed number of frames, with and without guidance, then
with the sampling of its card until each sentence ends. The CPU times show why the synthesizer does not guess on a CPU.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from figures import report

from manifests.demo.clips import demo_clips
from valle.audio import AudioLocation, read_audio
from valle.backends.registry import Backends
from valle.checkpoints.guesses import attach_heads
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.synthesis.synthesizer import Request, Synthesizer

_SENTENCES = Path(__file__).with_name("english_sentences.tsv")


@dataclass(frozen=True, slots=True)
class Decoding:
    """Frames of some utterances, passes of the trunk that follow their prefills, and CPU seconds."""

    codes: list[list[int]]
    passes: int
    seconds: float

    @property
    def frames(self) -> int:
        """Return the number of frames."""
        return sum(map(len, self.codes))


def decode(
    model: ValleModel, conditions: Sequence[Condition], options: SamplingOptions, *, is_batch: bool = False
) -> Decoding:
    """Decode conditions, each by itself so that every pass is one of one utterance, or all in a batch."""
    counted: list[int] = []
    batches = [conditions] if is_batch else [[condition] for condition in conditions]
    handle = model.trunk.register_forward_hook(lambda *_: counted.append(1))
    started = time.process_time()
    decoded = [
        one
        for batch in batches
        for one in decode_autoregressively(model, [Utterance(condition, options) for condition in batch])
    ]
    seconds = time.process_time() - started
    handle.remove()
    return Decoding([one.codes[0].tolist() for one in decoded], len(counted) - len(batches), seconds)


def open_conditions(synthesizer: Synthesizer, count: int) -> list[Condition]:
    """Return the conditions of the first sentences, each with a clip of its held-out voice as prompt."""
    with _SENTENCES.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    clips = {clip.speaker: clip for clip in demo_clips() if clip.duration < 4}
    conditions = []
    for row in rows:
        prompt = synthesizer.encode_prompt(read_audio(AudioLocation(str(clips[row["held_out_voice"]].path))))
        conditions.append(synthesizer.condition(Request(synthesizer.phonemize(row["text"]), prompt)))
    return conditions


def compare(
    name: str, model: ValleModel, conditions: Sequence[Condition], options: SamplingOptions, bound: float
) -> bool:
    """Print the ratio of passes without and with guesses; return whether it holds and all frames are equal."""
    heads, guesses = model.lookahead, []
    assert heads is not None, "the checkpoint guesses"
    for is_batch in (False, True):
        model.lookahead = None
        plain = decode(model, conditions, options, is_batch=is_batch)
        model.lookahead = heads
        guesses.append((plain, decode(model, conditions, options, is_batch=is_batch)))
    (plain, fewer), (batch, fewer_batch) = guesses
    equal = plain.codes == fewer.codes == batch.codes == fewer_batch.codes
    accepted = (fewer.frames / max(1, fewer.passes) - 1) / heads.guesses
    print(
        f"{name}: {plain.frames} frames, {'equal' if equal else 'NOT EQUAL'}; {plain.passes} and {fewer.passes} "
        f"passes, {100 * accepted:.1f} % of the guesses right; CPU time without / with {plain.seconds:.1f} / "
        f"{fewer.seconds:.1f} s, in one batch {batch.seconds:.1f} / {fewer_batch.seconds:.1f} s"
    )
    return report(f"{name}: passes without guesses / with", plain.passes / fewer.passes, bound, at_least=True) and equal


def main() -> int:
    """Print the figures; 1 when one is missed or a frame differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--sentences", type=int, default=8)
    parser.add_argument("--frames", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    synthesizer = Synthesizer.load(arguments.checkpoint, Backends())
    model, conditions = synthesizer.model, open_conditions(synthesizer, arguments.sentences)
    attach_heads(model, arguments.checkpoint)
    own = read_sampling(arguments.checkpoint)
    greedy = SamplingOptions(
        temperature=0, suppressed_codes=(model.config.stop,), max_seconds=arguments.frames / model.config.frame_rate
    )
    guided = greedy.model_copy(update={"guidance": own.guidance, "guidance_rescale": own.guidance_rescale})
    held = compare("greedy", model, conditions, greedy, 1.5)
    held &= compare("greedy with guidance", model, conditions, guided, 1.5)
    held &= compare("sampling of the card", model, conditions, own, 1.0)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
