"""`valle evaluate`: the flow that measures a system, and commands about stored scores, which need no flow."""

from typing import Annotated

from cyclopts import App
from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import EvaluateParameters
from valle.cli.arguments import FIELDS, say

app = App(name="evaluate", help="Measure WER and SIM-O of a checkpoint, a folder or a command.")
app.command("valle.cli.evaluate_aggregate:aggregate", name="aggregate", help="Score tables of transcripts.")
app.command("valle.cli.tasks.scores:tasks", name="tasks", help="Score the tasks beside text-to-speech.")
app.command("valle.cli.compare:compare", name="compare", help="Compare two systems of the lake.")


@app.default
def evaluate(*, options: Annotated[EvaluateParameters | None, FIELDS] = None) -> int:
    """Measure WER and SIM-O of a checkpoint, a folder or a command."""
    options = options or EvaluateParameters()
    from valle.backends.registry import Backends
    from valle.evaluation.resolve import find_finished_report

    # Stored scores are found in a second; Prefect is not imported for them.
    backends = Backends(options.workers.device, options.workers.threads)
    report = find_finished_report(options, options.data_root, backends)
    if report is not None:
        say(f"Nothing to do, the scores are in the lake. {report.summary}. Report: {report.markdown_path}")
        return 0
    # The parameters of all flows are loaded by the command that runs one, not by its help.
    from valle.cli.flow import run_flow

    return run_flow("flows.evaluate:evaluate", options)


class EvaluateDoctorOptions(BaseModel):
    """Options of `valle evaluate doctor`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    asr: str = "tiny.en"
    """ASR model."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder."""
    scorers: tuple[str, ...] = ("dnsmos", "distillmos")
    """Models of naturalness; distillmos is left out where it is not installed."""
    device: str = "cpu"
    """Torch device of the models."""
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads of each model."""


@app.command
def doctor(*, options: Annotated[EvaluateDoctorOptions, FIELDS] = EvaluateDoctorOptions()) -> int:
    """Check the metric models on stored clips; 1 when one does not give the known scores."""
    from valle.backends.registry import Backends
    from valle.evaluation.metrics.known_answers import check_models
    from valle.evaluation.metrics.models import MetricModels, available_scorers
    from valle.process import torch_device

    torch_device(options.device)
    models = MetricModels(
        asr=options.asr, speaker_encoder=options.speaker_encoder, scorers=available_scorers(options.scorers)
    )
    checks = check_models(models, Backends(device=options.device, threads=options.threads))
    for check in checks:
        say(f"{'ok' if check.is_valid else 'refused':8} {check.metric} {check.revision}: {check.detail}")
    return 0 if all(check.is_valid for check in checks) else 1
