"""A speaking program for tests of the command protocol: tones of 0.1 s per word, and misbehaviour on request."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

log = Path(sys.argv[1])
state = log.with_suffix(".state")


def said(text):
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {text}\n")


for line in sys.stdin:
    request = json.loads(line)
    said(request["utterance"])
    text = request["text"]
    answer = {"utterance": request["utterance"]}
    if "crash always" in text:
        os._exit(3)
    if "crash once" in text and not state.exists():
        state.touch()
        os._exit(3)
    if "hang" in text:
        time.sleep(60)
    if "nonsense" in text:
        sys.stdout.write("Loading model...\n")
        sys.stdout.flush()
        continue
    if "fail" in text:
        answer["error"] = "out of memory"
    elif "lie" in text:
        answer["path"] = request["out"]
    else:
        prompt, rate = soundfile.read(request["prompt_audio"])
        samples = np.sin(np.arange(round(0.1 * rate * len(text.split()))) * 0.2) * 0.5
        soundfile.write(request["out"], samples, rate)
        answer |= {"path": request["out"], "seconds": 0.001, "first_audio_seconds": 0.0005}
        if "slow clock" in text:
            answer["seconds"] = 1e6
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
