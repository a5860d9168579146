"""`python -m valle.codec_training.export RUN_DIR ...`: export a training to the weights file of `mini`."""

import argparse
from pathlib import Path

from valle.codec.mini.network import MiniConfig, MiniNetwork
from valle.codec.mini.weights_file import EMBEDDED, Provenance, WeightsHeader, write_weights
from valle.codec_training.dataset import describe_audio
from valle.codec_training.loop import CHECKPOINT
from valle.state_files import read_state
from warehouse.errors import TrainingError

_NOT_STATED = "not stated"


def export_run(
    run_directory: Path, target: Path = EMBEDDED, *, licence: str = _NOT_STATED, credits_line: str = _NOT_STATED
) -> WeightsHeader:
    """Write the network of a run's checkpoint, its decoder averaged over steps, to `target`.

    Raises TrainingError before the run has a decoder.
    """
    path = run_directory / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{path} does not exist; train first with `valle codec train`")
    saved = read_state(path)
    if not saved["trainer"]["has_filters"]:
        raise TrainingError(f"{path} is still in its first stage and cannot speak; train on")
    network = MiniNetwork(MiniConfig.from_json(saved["config"]))
    if target == EMBEDDED and network.config.sample_rate != MiniConfig().sample_rate:
        raise TrainingError(
            f"{run_directory} is a codec at {network.config.sample_rate} Hz, which is not `mini`: export it with --to "
            "FILE and store it with `valle models fetch mini_44khz --source FILE`."
        )
    network.load_state_dict(saved["trainer"]["network"])
    network.decoder.load_state_dict(saved["trainer"]["decoder_average"])
    provenance = Provenance(
        num_steps=saved["trainer"]["num_steps"],
        training_data=describe_audio(run_directory),
        licence=licence,
        credits=credits_line,
    )
    return write_weights(target, network, provenance)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory of the training")
    parser.add_argument("--to", type=Path, default=EMBEDDED, help="file to write")
    parser.add_argument("--licence", default=_NOT_STATED, help="licence of the weights")
    parser.add_argument("--credits", default=_NOT_STATED, help="whose speech they were trained on")
    arguments = parser.parse_args()
    header = export_run(arguments.run, arguments.to, licence=arguments.licence, credits_line=arguments.credits)
    steps = header.provenance.num_steps
    print(f"{arguments.to}: revision {header.revision}, {steps} steps")  # noqa: T201 - the answer of the command


if __name__ == "__main__":
    main()
