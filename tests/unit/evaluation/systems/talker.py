"""A speaking program for tests of the command protocol: tones of 0.1 s per word, and misbehaviour on request.

A program that is about to hang leaves a file `hang-PID` beside its log first, from which the clock of the tests takes
that time has passed: no test waits for a timeout, or depends on the speed of the machine.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

log = Path(sys.argv[1])
behaviour = sys.argv[2:]
state = log.with_suffix(".state")


def answer_line(content):
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def hang():
    log.with_name(f"hang-{os.getpid()}").touch()
    time.sleep(3600)


if "--never-reads" in behaviour:
    hang()
if "--ready" in behaviour:
    answer_line({"ready": True})

for line in sys.stdin:
    request = json.loads(line)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {request['utterance']}\n")
    text = request["text"]
    answer = {"utterance": request["utterance"]}
    if "crash always" in text:
        os._exit(3)
    if "crash once" in text and not state.exists():
        state.touch()
        os._exit(3)
    if "hang" in text:
        hang()
    if "endless line" in text:
        while True:
            sys.stdout.write("x" * (1 << 16))
    if "stray answers" in text:
        while True:
            answer_line({"utterance": "stranger"})
    if "complain" in text:
        sys.stderr.write("e" * (12 << 20))
        sys.stderr.flush()
    if "nonsense" in text:
        sys.stdout.write("Loading model...\n")
        sys.stdout.flush()
        continue
    if "deep" in text:
        sys.stdout.write("[" * 100_000 + "\n")
        sys.stdout.flush()
        continue
    if "fail" in text:
        answer["error"] = "out of memory"
    elif "lie" in text:
        answer["path"] = request["out"]
    else:
        prompt, rate = soundfile.read(request["prompt_audio"])
        seconds = 200.0 if "very long" in text else 0.1 * len(text.split())
        soundfile.write(request["out"], np.sin(np.arange(round(seconds * rate)) * 0.2) * 0.5, rate)
        answer |= {"path": request["out"], "seconds": 0.001, "first_audio_seconds": 0.0005}
        if "slow clock" in text:
            answer["seconds"] = 1e6
    answer_line(answer)
