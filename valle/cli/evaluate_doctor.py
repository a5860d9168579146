"""`valle evaluate doctor`: ask every model that judges about clips whose answers are known."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import parse, say


class EvaluateDoctorOptions(BaseModel):
    """Ask the models that judge about stored clips, and refuse them when they do not answer as they should."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    asr: str = "tiny.en"
    """ASR model."""
    speaker_encoder: str = "resemblyzer"
    """Speaker encoder."""
    scorers: tuple[str, ...] = ("dnsmos", "distillmos")
    """Models that say how natural speech is; distillmos is left out where it is not installed."""
    device: str = "cpu"
    """Torch device of the models."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each model."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a line per model; 1 when one of them is not to be believed."""
    from valle.backends.registry import Backends
    from valle.evaluation.metrics.known_answers import check_models
    from valle.evaluation.metrics.models import MetricModels, available_scorers

    options = parse(EvaluateDoctorOptions, command, arguments)
    models = MetricModels(
        asr=options.asr, speaker_encoder=options.speaker_encoder, scorers=available_scorers(options.scorers)
    )
    checks = check_models(models, Backends(device=options.device, threads=options.threads))
    for check in checks:
        say(f"{'ok' if check.is_valid else 'refused':8} {check.metric} {check.revision}: {check.detail}")
    return 0 if all(check.is_valid for check in checks) else 1
