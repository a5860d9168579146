"""From the options of an evaluation to its plan.

Import neither torch nor Prefect here: `valle evaluate` finds a finished evaluation without loading them.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from valle.backends.registry import Backends
from valle.checkpoints.runs import newest_checkpoint, read_summary
from valle.data_root import DataRoot
from valle.evaluation.evaluate import report_evaluation, stored_scores
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import PublishedProtocol, spread_over_speakers
from valle.evaluation.items.protocols import resolve_protocol
from valle.evaluation.metrics.models import MetricModels, available_scorers
from valle.evaluation.options import EvaluationOptions
from valle.evaluation.plan import EvaluationPlan, items_of_cuts, items_of_training_set, plan_evaluation
from valle.evaluation.systems.audio_files import read_hardware_notes
from valle.evaluation.systems.base import System, check_system_name
from valle.evaluation.systems.checkpoint import CheckpointSystem
from valle.evaluation.systems.command import CommandSystem
from valle.evaluation.systems.control_speech import find_decoders
from valle.evaluation.systems.folder import FolderSystem
from valle.reporting import Report
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.text.normalise import default_normaliser
from warehouse.errors import ConfigurationError
from warehouse.model_rows import ScoreRow

_DEFAULT_CODEC = "mini"
_TIME = "time of speech"


@dataclass(frozen=True, slots=True)
class ResolvedEvaluation:
    """A plan and the facts about its system for the report."""

    plan: EvaluationPlan
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Subject:
    """A system, its facts, and the training set and codec of its checkpoint (None for other systems)."""

    system: System
    facts: dict[str, str]
    training_set: str | None = None
    codec: str | None = None


def resolve(options: EvaluationOptions, data_root: DataRoot, backends: Backends) -> ResolvedEvaluation:
    """Find the system, items, codec and metric models. Raises a PipelineError that names what is missing."""
    subject = _resolve_subject(options, data_root)
    items = _list_items(options, subject.training_set, data_root)
    codec = options.codec or subject.codec or _DEFAULT_CODEC
    languages = sorted({item.language for item in items.items})
    normaliser = options.normaliser or default_normaliser(languages[0] if len(languages) == 1 else "")
    models = MetricModels(
        asr=options.asr,
        speaker_encoder=options.speaker_encoder,
        scorers=available_scorers(options.scorers),
        normaliser=normaliser,
    )
    plan = plan_evaluation(items, subject.system, models=models, decoders=find_decoders(codec, backends))
    return ResolvedEvaluation(plan, subject.facts)


def find_finished_report(options: EvaluationOptions, data_root: DataRoot, backends: Backends) -> Report | None:
    """Return the report of an evaluation whose scores are stored, written now if it is missing; None without scores."""
    resolved = resolve(options, data_root, backends)
    rows = stored_scores(resolved.plan.name, data_root.lake)
    return write_evaluation_report(resolved, rows, data_root) if rows else None


def write_evaluation_report(resolved: ResolvedEvaluation, rows: list[ScoreRow], data_root: DataRoot) -> Report:
    """Write the report of an evaluation, unless the same report exists."""
    speech, _ = resolved.plan.speech(data_root)
    facts = resolved.facts | {"made on": "; ".join(read_hardware_notes(speech)) or "not known"}
    return report_evaluation(resolved.plan, rows, data_root, facts)


def _resolve_subject(options: EvaluationOptions, data_root: DataRoot) -> _Subject:
    given = [value for value in (options.run, options.folder, options.command) if value is not None]
    if len(given) != 1:
        raise ConfigurationError("Name what to evaluate: --run, --folder or --command, one of them.")
    if options.run is None and options.best_of.count > 1:
        raise ConfigurationError("best_of applies to a training run only: leave best_of.count at 1.")
    if options.run is None and options.sampling is not None:
        raise ConfigurationError("sampling applies to a training run only: leave sampling out.")
    if options.folder is not None:
        folder = options.folder.expanduser().resolve()
        facts = {"system": f"folder {folder}", _TIME: "not known: the files were made elsewhere"}
        return _Subject(FolderSystem(folder, check_system_name(options.name or folder.name)), facts)
    if options.command is not None:
        return _command_subject(options.command, options)
    return _checkpoint_subject(str(options.run), options, data_root)


def _command_subject(command: str, options: EvaluationOptions) -> _Subject:
    program = next(iter(shlex.split(command)), "")
    name = check_system_name(options.name or Path(program).stem)
    facts = {
        "system": f"command {command}",
        "version": options.command_version or "not given",
        _TIME: "as reported by the system; else wall time, which includes the start of the process once",
    }
    return _Subject(CommandSystem(command, name, options.command_version, timeout=options.timeout), facts)


def _checkpoint_subject(run: str, options: EvaluationOptions, data_root: DataRoot) -> _Subject:
    checkpoint = newest_checkpoint(data_root.runs, run)
    summary = read_summary(checkpoint)
    _check_best_of(options)
    sampling = (options.sampling or SamplingOptions()).over(read_sampling(checkpoint))
    facts = {
        "checkpoint": str(checkpoint),
        "training set": summary.training_set,
        "model codec": summary.codec.label,
        "sampling": sampling.model_dump_json(),
        _TIME: "without loading and without a warm-up run; the time of a batch is divided among its utterances",
    }
    if options.best_of.count > 1:
        facts["best of"] = f"{options.best_of.model_dump_json()}; the time is that of all candidates, without choosing"
    system = CheckpointSystem(checkpoint, summary, sampling, options.batch, options.best_of)
    return _Subject(system, facts, summary.training_set.rpartition("-")[0], summary.codec.name)


def _check_best_of(options: EvaluationOptions) -> None:
    """Refuse best-of-n selection by the model that also computes the metric."""
    best_of = options.best_of
    if best_of.count == 1:
        return
    if best_of.word_weight + best_of.character_weight > 0 and best_of.transcriber == options.asr:
        raise ConfigurationError(
            f"{options.asr} would score candidates that it chose: set asr or best_of.transcriber to another model."
        )
    if best_of.similarity_weight > 0 and best_of.speaker_encoder == options.speaker_encoder:
        raise ConfigurationError(
            f"{options.speaker_encoder} would score candidates that it chose: set speaker_encoder or "
            "best_of.speaker_encoder to another model, or best_of.similarity_weight to 0."
        )


def _list_items(options: EvaluationOptions, checkpoint_set: str | None, data_root: DataRoot) -> ItemList:
    if options.protocol is not None:
        return _published_items(options, options.protocol)
    if options.cuts:
        return items_of_cuts(data_root, options.cuts, count=options.count, trials=options.trials, seed=options.seed)
    training_set = options.training_set or checkpoint_set
    if training_set is None:
        raise ConfigurationError("Name the sentences: --protocol with its list, --cuts or --training-set.")
    return items_of_training_set(
        data_root,
        training_set,
        where=options.where,
        count=options.count,
        trials=options.trials,
        seed=options.seed,
    )


def _published_items(options: EvaluationOptions, protocol: PublishedProtocol) -> ItemList:
    listed = resolve_protocol(
        protocol, listing=options.listing, audio=options.audio, language=options.language, seed=options.seed
    )
    if options.count is not None:
        chosen = tuple(spread_over_speakers(listed.items, options.count, seed=options.seed))
        listed = ItemList(protocol=listed.protocol, source=listed.source, items=chosen)
    return listed.with_trials(options.trials)
