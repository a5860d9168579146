"""`valle evaluate tasks`: scores of the tasks beside text-to-speech."""

from typing import Annotated

from pydantic import Field

from valle.cli.arguments import FIELDS, say
from valle.cli.tasks.options import CheckpointOptions, find_checkpoint
from valle.synthesis.options import MixtureText, SamplingOptions


class TaskScoreOptions(CheckpointOptions):
    """Options of `valle evaluate tasks`."""

    training_set: str
    """Training set whose held-out split is scored, with word times and mixtures where a task needs them."""
    split: str = "test"
    """Split: `test` or `dev`."""
    count: int = Field(default=100, ge=1, le=1_000_000)
    """Utterances."""
    tasks: tuple[str, ...] = ()
    """Tasks, such as `ns,cse`; by default all that the checkpoint has learnt."""
    asr: str = "tiny.en"
    """ASR model of the word error rate."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder of the similarities."""
    text: MixtureText = "transcribed"
    """Text that the tasks on a mixture are given: a transcription of it, as the commands do, that of the utterance, or
    none."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as the commands of each task have it."""


def tasks(*, options: Annotated[TaskScoreOptions, FIELDS]) -> int:
    """Score tasks beside their controls: the input returned unchanged, and the right answer."""
    from valle.backends.registry import Backends
    from valle.data.selection.training_set import load_training_set
    from valle.data_root import open_data_root
    from valle.evaluation.tasks.evaluate import TaskEvaluation, evaluate_tasks, summarize
    from valle.synthesis.synthesizer import Synthesizer
    from warehouse.catalogue.display import format_table

    root = open_data_root(options.data)
    checkpoint = find_checkpoint(options)
    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device))
    rows = evaluate_tasks(
        synthesizer,
        load_training_set(root.training_sets / options.training_set),
        TaskEvaluation(
            split=options.split,
            count=options.count,
            tasks=options.tasks,
            asr=options.asr,
            speaker_encoder=options.speaker_encoder,
            text=options.text,
        ),
        options.sampling or SamplingOptions(),
        root.lake,
    )
    say(format_table(summarize(rows)))
    return 0
