"""`python -m valle.codec_training.export RUN_DIR [--to FILE]`: what a training gave, as the file that is shipped."""

import argparse
from pathlib import Path

import torch

from valle.codec.network import MiniConfig, MiniNetwork
from valle.codec.weights_file import EMBEDDED, WeightsHeader, write_weights
from valle.codec_training.training import CHECKPOINT
from warehouse.errors import TrainingError

LICENCE = "Apache-2.0"
CREDITS = (
    "Trained on speech of LibriSpeech (V. Panayotov 2014, CC BY 4.0), LibriTTS (Zen et al. 2019, CC BY 4.0), VCTK 0.92 "
    "(CSTR, University of Edinburgh, CC BY 4.0), VOiCES (Lab41, SRI, CC BY 4.0), Common Voice (CC0), LJ Speech "
    "(public domain), LibriVox (public domain), samples of google/lyra and speechbrain (Apache-2.0), and on speech "
    "synthesised with Kokoro-82M (Apache-2.0)."
)


def export_run(run_directory: Path, target: Path = EMBEDDED) -> WeightsHeader:
    """Write the network of a run's checkpoint, its decoder averaged over steps, to `target`.

    Raises TrainingError before the run has a decoder.
    """
    path = run_directory / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{path} does not exist; train first with `valle train-codec`")
    saved = torch.load(path, map_location="cpu", weights_only=False)
    if not saved["trainer"]["has_filters"]:
        raise TrainingError(f"{path} is still in its first stage and cannot speak; train on")
    network = MiniNetwork(MiniConfig.from_json(saved["config"]))
    network.load_state_dict(saved["trainer"]["network"])
    network.decoder.load_state_dict(saved["trainer"]["decoder_average"])
    return write_weights(
        target, network, num_steps=saved["trainer"]["num_steps"], licence=LICENCE, credits_line=CREDITS
    )


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory of the training")
    parser.add_argument("--to", type=Path, default=EMBEDDED, help="file to write")
    arguments = parser.parse_args()
    header = export_run(arguments.run, arguments.to)
    print(f"{arguments.to}: revision {header.revision}, {header.num_steps} steps")  # noqa: T201


if __name__ == "__main__":
    main()
