"""From the parameters of an evaluation to its plan. This module does not import Prefect: what is done is found fast."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from flows.parameters import EvaluateParameters
from valle.backends.registry import Backends
from valle.checkpoints.runs import newest_checkpoint, read_summary
from valle.evaluation.evaluate import report_evaluation, stored_scores
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import spread_over_speakers
from valle.evaluation.items.protocols import resolve_protocol
from valle.evaluation.plan import (
    EvaluationPlan,
    Judges,
    available_scorers,
    items_of_training_set,
    plan_evaluation,
)
from valle.evaluation.systems.audio_files import read_circumstances
from valle.evaluation.systems.base import FolderSystem, System, check_system_name
from valle.evaluation.systems.checkpoint import CheckpointSystem
from valle.evaluation.systems.command import CommandSystem
from valle.evaluation.systems.control_speech import find_decoders
from valle.reporting import Report
from valle.synthesis.options import SamplingOptions
from valle.synthesis.preferred import read_sampling
from valle.text.normalise import default_normaliser
from warehouse.errors import ConfigurationError
from warehouse.rows import ScoreRow

_DEFAULT_CODEC = "mini"
_TIME = "time of speech"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A plan, and what is known of its system for the report."""

    plan: EvaluationPlan
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Subject:
    """The system, what is known of it, and what its checkpoint says (None for the systems of others)."""

    system: System
    facts: dict[str, str]
    training_set: str | None = None
    codec: str | None = None


def resolve(parameters: EvaluateParameters, backends: Backends) -> Resolved:
    """Find system, items, codec and judges. Raises a PipelineError that says what is missing."""
    subject = _subject(parameters)
    items = _items(parameters, subject.training_set)
    codec = parameters.codec or subject.codec or _DEFAULT_CODEC
    languages = sorted({item.language for item in items.items})
    normaliser = parameters.normaliser or default_normaliser(languages[0] if len(languages) == 1 else "")
    judges = Judges(
        asr=parameters.asr,
        speaker_encoder=parameters.speaker_encoder,
        scorers=available_scorers(parameters.scorers),
        normaliser=normaliser,
    )
    plan = plan_evaluation(items, subject.system, judges=judges, decoders=find_decoders(codec, backends))
    return Resolved(plan, subject.facts)


def finished_report(parameters: EvaluateParameters) -> Report | None:
    """The report of an evaluation whose scores are stored already; None when there is something to do."""
    resolved = resolve(parameters, Backends(parameters.workers.device, parameters.workers.threads))
    rows = stored_scores(resolved.plan.name, parameters.data_root.lake)
    return report(resolved, rows, parameters) if rows else None


def report(resolved: Resolved, rows: list[ScoreRow], parameters: EvaluateParameters) -> Report:
    """Write the report, unless it stands there already."""
    of_system, _ = resolved.plan.speech(parameters.data_root)
    facts = resolved.facts | {"made on": "; ".join(read_circumstances(of_system)) or "not known"}
    return report_evaluation(resolved.plan, rows, parameters.data_root, facts)


def _subject(parameters: EvaluateParameters) -> _Subject:
    given = [one for one in (parameters.run, parameters.folder, parameters.command) if one is not None]
    if len(given) != 1:
        raise ConfigurationError("Name what to evaluate: --run, --folder or --command, one of them.")
    if parameters.run is None and parameters.best_of.count > 1:
        raise ConfigurationError("Only a checkpoint of ours can be asked for several takes: leave best_of.count at 1.")
    if parameters.run is None and parameters.sampling is not None:
        raise ConfigurationError("Only a checkpoint of ours can be told how to sample: leave sampling out.")
    if parameters.folder is not None:
        folder = parameters.folder.expanduser().resolve()
        facts = {"system": f"folder {folder}", _TIME: "not known: somebody else made the files"}
        return _Subject(FolderSystem(folder, check_system_name(parameters.name or folder.name)), facts)
    if parameters.command is not None:
        return _command(parameters.command, parameters)
    return _checkpoint(parameters)


def _command(command: str, parameters: EvaluateParameters) -> _Subject:
    program = next(iter(shlex.split(command)), "")
    name = check_system_name(parameters.name or Path(program).stem)
    facts = {
        "system": f"command {command}",
        "version": parameters.command_version or "not told",
        _TIME: "by the system's own clock where it tells; else the first utterance counts the start of the process",
    }
    return _Subject(CommandSystem(command, name, parameters.command_version, timeout=parameters.timeout), facts)


def _checkpoint(parameters: EvaluateParameters) -> _Subject:
    checkpoint = newest_checkpoint(parameters.data_root.runs, str(parameters.run))
    summary = read_summary(checkpoint)
    _check_best_of(parameters)
    sampling = (parameters.sampling or SamplingOptions()).over(read_sampling(checkpoint))
    facts = {
        "checkpoint": str(checkpoint),
        "training set": summary.training_set,
        "model codec": summary.codec.label,
        "sampling": sampling.model_dump_json(),
        _TIME: "loading is not counted, there is no warm-up run, and a batch's time is shared by its utterances",
    }
    if parameters.best_of.count > 1:
        facts["best of"] = f"{parameters.best_of.model_dump_json()}; the time is that of all takes, without the choice"
    system = CheckpointSystem(checkpoint, summary, sampling, parameters.batch, parameters.best_of)
    return _Subject(system, facts, summary.training_set.rpartition("-")[0], summary.codec.name)


def _check_best_of(parameters: EvaluateParameters) -> None:
    """Who chooses a take by what a judge will say of it makes that judge's numbers mean nothing."""
    chosen_by = parameters.best_of
    if chosen_by.count == 1:
        return
    if chosen_by.word_weight + chosen_by.character_weight > 0 and chosen_by.transcriber == parameters.asr:
        raise ConfigurationError(
            f"{parameters.asr} would judge what it chose: set asr or best_of.transcriber to another model."
        )
    if chosen_by.voice_weight > 0 and chosen_by.speaker_encoder == parameters.speaker_encoder:
        raise ConfigurationError(
            f"{parameters.speaker_encoder} would judge what it chose: set speaker_encoder or best_of.speaker_encoder "
            "to another model, or best_of.voice_weight to 0."
        )


def _items(parameters: EvaluateParameters, own_training_set: str | None) -> ItemList:
    if parameters.protocol is not None:
        listed = resolve_protocol(
            parameters.protocol,
            listing=parameters.listing,
            audio=parameters.audio,
            language=parameters.language,
            seed=parameters.seed,
        )
        if parameters.count is not None:
            chosen = tuple(spread_over_speakers(listed.items, parameters.count, seed=parameters.seed))
            listed = ItemList(protocol=listed.protocol, source=listed.source, items=chosen)
        return listed.with_trials(parameters.trials)
    training_set = parameters.training_set or own_training_set
    if training_set is None:
        raise ConfigurationError("Name the sentences: --protocol with its list, or --training-set.")
    return items_of_training_set(
        parameters.data_root,
        training_set,
        where=parameters.where,
        count=parameters.count,
        trials=parameters.trials,
        seed=parameters.seed,
    )
