"""`python -m valle.model [FOLDER]`: the network learns two clips by heart and says them; about ten minutes on a CPU."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from valle.backends.registry import Backends
from valle.training.overfit_test import SelfTestOptions, run_self_test

log = logging.getLogger("valle.model")


def _tell(step: int, shares: Mapping[str, float]) -> None:
    log.info("step %d  codes right: %s", step, "  ".join(f"{mode} {share:.1%}" for mode, share in shares.items()))


def main(arguments: Sequence[str]) -> int:
    """Run the self-test; 0 when it passes."""
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)  # of this command alone; the judges have much to say
    torch.set_num_threads(1)
    out = Path(arguments[0] if arguments else "self_test")
    result = run_self_test(SelfTestOptions(out=out), Backends(), listener=_tell)
    for one in result.spoken:
        said = f"WER {one.word_error_rate:.1%}, {one.accuracy:.1%} of the codes"
        log.info("%s by %s: %s, heard %r, %s", one.clip, one.way, said, one.heard, one.path)
    verdict = "passed" if result.is_passed() else "FAILED"
    log.info("%s after %d updates and %.0f s", verdict, result.steps, result.seconds)
    return 0 if result.is_passed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
