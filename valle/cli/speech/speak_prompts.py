"""The prompts of `valle speak`: checked, encoded, and joined to one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from valle.cli.speech.speak_options import SpeakOptions
from valle.cli.tasks.options import report_text
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Prompt, Synthesizer

Encode = Callable[[Path, str, str, bool], "Prompt"]
"""Encode a recording by its path, its text, its language, and whether it needs a text."""


def check_prompt(options: SpeakOptions) -> None:
    """Refuse options of the prompt that contradict each other. Raises ConfigurationError."""
    if not options.prompt and (options.prefix_silence or options.prompt_shares or options.prompt_seconds):
        raise ConfigurationError("Options of the prompt need --prompt.")
    if options.prompt_text and (len(options.prompt) > 1 or options.prompt_seconds):
        raise ConfigurationError("--prompt-text is that of one whole prompt: leave out what changes the prompt.")
    if options.prompt_shares and len(options.prompt_shares) != len(options.prompt):
        raise ConfigurationError(
            f"There are {len(options.prompt)} prompts and {len(options.prompt_shares)} shares: give a share for each, "
            "or none."
        )


def read_prompts(options: SpeakOptions, synthesizer: Synthesizer, encode: Encode) -> Prompt | None:
    """Return the prompts of the options as one, or None without any."""
    from valle.synthesis.prompts import join_prompts

    if not options.prompt:
        return None
    is_continued = options.sampling is not None and options.sampling.continues_prompt
    is_whole = len(options.prompt) == 1 and options.prompt_seconds is None
    needs_text = is_continued and is_whole and options.transcribe
    prompts = [encode(path, options.prompt_text, options.language, needs_text) for path in options.prompt]
    rate = synthesizer.codec.spec.frame_rate
    frames = None if options.prompt_seconds is None else max(1, round(options.prompt_seconds * rate))
    codes = join_prompts([prompt.codes for prompt in prompts], shares=options.prompt_shares, num_frames=frames)
    lead = synthesizer.encode_silence(options.prefix_silence) if options.prefix_silence else None
    return dataclasses.replace(prompts[0], codes=codes, lead=lead)


def encode_prompt(synthesizer: Synthesizer, path: Path, text: str, language: str, needs_text: bool) -> Prompt:
    """Encode the recording of a speaker; where its text is needed and not given, it is transcribed and printed."""
    from valle.synthesis.prompts import LONGEST_SECONDS, read_prompt

    audio = read_prompt(path, synthesizer.codec.spec.sample_rate)
    if audio.duration >= LONGEST_SECONDS:
        if text:
            raise ConfigurationError(
                f"{path} is longer than {LONGEST_SECONDS:g} s, so that --prompt-text does not fit what is used of it; "
                "give a shorter prompt."
            )
        sys.stderr.write(f"valle: the first {LONGEST_SECONDS:g} s of {path} are the prompt.\n")
    if needs_text and not text:
        from valle.synthesis.texts.recorded_text import TextOptions, read_text

        found = read_text(synthesizer.backends, [audio.samples], audio.sample_rate, TextOptions(language=language))
        report_text(found)
        text, language = found.text, found.language
    return synthesizer.encode_prompt(audio, text, language)
