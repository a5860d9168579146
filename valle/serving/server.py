"""Run the server of `valle serve`: load the checkpoint, protect the application, answer until SIGTERM."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from valle.backends.registry import Backends
from valle.checkpoints.adapters import parse_adapters
from valle.data_root import open_data_root
from valle.serving.app import build_app
from valle.serving.body_limit import BodyLimit
from valle.serving.scheduler import Scheduler
from valle.serving.speech import Speaker
from valle.serving.voices import VoiceBank
from valle.synthesis.default_checkpoint import find_checkpoint
from valle.synthesis.options import read_sampling
from valle.synthesis.synthesizer import ModelPlacement, Synthesizer
from valle.text.lexicon import find_lexicon
from valle.watermark import require_watermark
from valle.web.request_checks import guard, names_of_machine
from valle.web.secret_file import create_secret, read_secret
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.serving.options import ServeOptions


def read_keys(options: ServeOptions) -> list[str]:
    """Return the API keys: those of the key file, or one that is made in the data root.

    Raises ConfigurationError when a key file has none.
    """
    if options.key_file is None:
        path = open_data_root(options.data).root / "serve" / "api_key"
        return [create_secret(path, "valle-", "run `valle serve`")]
    keys = read_secret(options.key_file, "write one API key per line").split()
    if not all(len(key) >= 16 for key in keys):
        raise ConfigurationError(f"A key in {options.key_file} has less than 16 characters; use longer ones.")
    return keys


def open_speaker(options: ServeOptions) -> Speaker:
    """Load the checkpoint that speaks. Raises CheckpointError and ConfigurationError as `Synthesizer.load`."""
    checkpoint, _ = find_checkpoint(data=options.data, run=options.run, checkpoint=options.checkpoint)
    placement = ModelPlacement(options.precision)
    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device), parse_adapters(options.lora), placement)
    data_root = open_data_root(options.data)
    synthesizer = dataclasses.replace(synthesizer, lexicon=find_lexicon(None, data_root.root))
    voices = VoiceBank(data_root, synthesizer.codec)
    # The first phonemes open espeak-ng, and a first request should not wait for it.
    synthesizer.phonemize("ready")
    return Speaker(synthesizer, read_sampling(checkpoint), voices, options)


def protected_app(speaker: Speaker, keys: list[str]) -> ASGIApp:
    """Return the application behind its checks: host names, origins of pages, sizes, keys."""
    options = speaker.options
    limits = options.limits
    scheduler = Scheduler(speaker.synthesizer, max_active=limits.active, max_waiting=limits.waiting)
    names = (*names_of_machine(options.host), *options.names)
    own = [f"http://{name}:{options.port}" for name in names]
    app = BodyLimit(build_app(speaker, scheduler, keys), limits.upload_bytes)
    return guard(app, hosts=names, origins=[*own, *options.origins])


def run_server(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that are being answered may finish."""
    if options.watermark:
        require_watermark()
    app = protected_app(open_speaker(options), read_keys(options))
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        ws_max_size=options.limits.upload_bytes,
        timeout_graceful_shutdown=options.limits.shutdown_seconds,
    )


def key_path_of(options: ServeOptions) -> Path:
    """Return the file of the API keys."""
    return options.key_file or open_data_root(options.data).root / "serve" / "api_key"
