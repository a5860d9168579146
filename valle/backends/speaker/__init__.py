"""Open speaker encoders by name; torch is imported when the first is opened."""

from pathlib import Path

from valle.backends.speaker.base import SpeakerEncoder
from valle.backends.weights import file_revision, models_directory, package_file
from warehouse.errors import DependencyError, unknown_name

# Encoders whose weights are in no wheel: the file in the models folder, and its publisher.
_FETCHED = {
    "wavlm_large": ("wavlm_large_finetune.pth", "UniSpeech (WavLM-Large for speaker verification)"),
    "campplus": ("campplus.onnx", "3D-Speaker (CAM++ as ONNX)"),
    "eres2net": ("eres2net.onnx", "3D-Speaker (ERes2Net as ONNX)"),
    "wespeaker": ("wespeaker.onnx", "WeSpeaker (ResNet34-LM as ONNX)"),
}


def _weights_path(name: str) -> Path:
    if name == "resemblyzer":
        return package_file("resemblyzer", "pretrained.pt", command="pip install --no-deps Resemblyzer==0.1.4")
    if name not in _FETCHED:
        raise unknown_name("speaker encoder", name, ("resemblyzer", *_FETCHED))
    file, publisher = _FETCHED[name]
    path = models_directory() / file
    if not path.exists():
        raise DependencyError(
            f"{path} does not exist: save the checkpoint of {publisher} under that name, or set VALLE_MODELS to its "
            "folder."
        )
    return path


def open_speaker_encoder(name: str, *, device: str = "cpu") -> SpeakerEncoder:
    """Open the encoder `name`: `resemblyzer` (embedded), `wavlm_large`, `campplus`, `eres2net` or `wespeaker`.

    Raise DependencyError when its weights are missing or do not fit the network.
    """
    path = _weights_path(name)
    # The modules import torch, so only that of the encoder is imported, and only here.
    if name == "wavlm_large":
        from valle.backends.speaker.wavlm import WavlmSpeaker

        return WavlmSpeaker(path, device=device)
    if name != "resemblyzer":
        from valle.backends.speaker.onnx import FRONT_ENDS, OnnxSpeaker

        return OnnxSpeaker(path, FRONT_ENDS[name])
    from valle.backends.speaker.resemblyzer import Resemblyzer

    return Resemblyzer(path, device=device)


def speaker_encoder_revision(name: str) -> str:
    """Return the name and the revision of the weights, without loading them."""
    return f"{name}@{file_revision(_weights_path(name))}"
