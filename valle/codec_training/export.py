"""`python -m valle.codec_training.export RUN_DIR ...`: what trainings gave, as the file that `mini` is read from.

The decoders of several runs that began with the same weights are averaged: they are better together than each of them
(Wortsman et al. 2022, "Model soups").
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from valle.codec.network import MiniConfig, MiniNetwork
from valle.codec.weights_file import EMBEDDED, Provenance, WeightsHeader, write_weights
from valle.codec_training.training import CHECKPOINT
from valle.codec_training.training_data import describe_audio
from warehouse.errors import TrainingError

_NOT_STATED = "not stated"


def export_runs(
    run_directories: Sequence[Path],
    target: Path = EMBEDDED,
    *,
    licence: str = _NOT_STATED,
    credits_line: str = _NOT_STATED,
) -> WeightsHeader:
    """Write to `target` the codes of runs and the mean of their decoders, each a moving average over its steps.

    Raises TrainingError before a run has a decoder, and when the runs have different codes.
    """
    first, *others = (_saved(directory) for directory in run_directories)
    network = MiniNetwork(MiniConfig.from_json(first["config"]))
    network.load_state_dict(first["trainer"]["network"])
    for directory, saved in zip(run_directories[1:], others, strict=True):
        codebooks = saved["trainer"]["network"]["quantizer.codebooks"]
        if saved["config"] != first["config"] or not torch.equal(codebooks, network.quantizer.codebooks):
            raise TrainingError(f"{directory} has other codes than {run_directories[0]}; only decoders can be averaged")
    network.decoder.load_state_dict(_mean([saved["trainer"]["decoder_average"] for saved in (first, *others)]))
    provenance = Provenance(
        num_steps=sum(saved["trainer"]["num_steps"] for saved in (first, *others)),
        training_data=describe_audio(run_directories[0]),
        licence=licence,
        credits=credits_line,
    )
    return write_weights(target, network, provenance)


def _saved(run_directory: Path) -> dict[str, Any]:
    path = run_directory / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{path} does not exist; train first with `valle train-codec`")
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    if not saved["trainer"]["has_filters"]:
        raise TrainingError(f"{path} is still in its first stage and cannot speak; train on")
    return saved


def _mean(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories; of several the decoders are averaged")
    parser.add_argument("--to", type=Path, default=EMBEDDED, help="file to write")
    parser.add_argument("--licence", default=_NOT_STATED, help="licence of the weights")
    parser.add_argument("--credits", default=_NOT_STATED, help="whose speech they were trained on")
    arguments = parser.parse_args()
    header = export_runs(arguments.runs, arguments.to, licence=arguments.licence, credits_line=arguments.credits)
    print(f"{arguments.to}: revision {header.revision}, {header.provenance.num_steps} steps")  # noqa: T201


if __name__ == "__main__":
    main()
