"""`valle evaluate doctor`: check the metric models on clips whose scores are known."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, say


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
