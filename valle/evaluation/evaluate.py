"""Score an evaluation whose speech the pipeline has processed, and write its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from valle.backends.registry import Backends
from valle.evaluation.items.item_list import write_list
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.score import Embedding, Output, Phonemize, PromptEmbeddings, ScoringRun, score
from valle.evaluation.pipeline_output import PipelineRows, embeddings_of, failures_of, outputs_of, read_pipeline_rows
from valle.evaluation.stats.aggregate import similarity
from valle.evaluation.systems.audio_files import SystemSpeech, find_speech, similarity_directory
from valle.evaluation.systems.base import ESPEAK, GROUND_TRUTH, PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.evaluation.systems.control_speech import PROMPT_CODEC, control_items, control_systems
from valle.evaluation.systems.espeak import espeak_languages
from valle.phonemes import LANGUAGES, SPACE
from valle.phonemes.symbols import PUNCTUATION
from valle.reporting import Report
from warehouse.errors import CommitConflict, ConfigurationError, LakeError
from warehouse.lake.arrow import from_table
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow

if TYPE_CHECKING:
    from valle.data_root import DataRoot
    from valle.evaluation.plan import EvaluationPlan

_STRESS = frozenset("ˈˌ")
_MAX_NAMED = 10  # utterances in a note of the report


def score_evaluation(plan: EvaluationPlan, data_root: DataRoot, backends: Backends) -> list[ScoreRow]:
    """Score a plan from the pipeline's output on its speech, and commit the scores once."""
    processed = read_pipeline_rows(plan, data_root.lake)
    files = _speech_files(plan, data_root)
    outputs = {system: outputs_of(members, processed) for system, members in files.items()}
    prompts = _prompt_embeddings(plan, files, processed)
    durations = {output.utterance: output.duration for output in outputs[GROUND_TRUTH]}
    phonemize = _phonemize(backends, plan.models.phonemizer) if _can_phonemize(plan.items.items) else None
    rows: list[ScoreRow] = []
    for system, items, made in _systems_to_score(plan, outputs):
        rows += score(
            items,
            made,
            prompts=prompts,
            run=_scoring_run(plan, system),
            phonemize=phonemize,
            failures=failures_of(files.get(system, ()), processed),
            recorded_durations=durations,
        )
    try:
        data_root.lake.append(ScoreRow, rows, f"scores:{plan.name}")
    except CommitConflict:
        # Another run finished the same evaluation first.
        return stored_scores(plan.name, data_root.lake)
    return rows


def _speech_files(plan: EvaluationPlan, data_root: DataRoot) -> dict[str, list[SystemSpeech]]:
    """Return the files of the system, of all controls and of the prompts through the codec, by system."""
    system_directory, control_directory = plan.speech(data_root)
    controls = control_items(plan.items)
    files = {plan.system.name: find_speech(plan.items.items, plan.system.name, system_directory)}
    for control in control_systems(plan.decoders):
        files[control] = find_speech(controls, control, control_directory)
    files[PROMPT_CODEC] = find_speech(controls, PROMPT_CODEC, similarity_directory(control_directory))
    return files


def _prompt_embeddings(
    plan: EvaluationPlan, files: Mapping[str, Sequence[SystemSpeech]], processed: PipelineRows
) -> PromptEmbeddings:
    """Return the embeddings of the prompts. Raise ConfigurationError for a prompt without one."""
    prompt_of = {item.utterance: item.prompt for item in plan.items.items}

    def by_prompt(system: str) -> dict[str, Embedding]:
        embeddings = embeddings_of(files[system], processed)
        return {prompt_of[utterance]: embedding for utterance, embedding in embeddings.items()}

    prompts = PromptEmbeddings(recorded=by_prompt(PROMPT_COPIED), resynthesized=by_prompt(PROMPT_CODEC))
    missing = sorted(
        {
            item.prompt
            for item in plan.items.items
            if item.prompt_location is not None and item.prompt not in prompts.recorded
        }
    )
    if missing:
        raise ConfigurationError(
            f"{len(missing)} prompts of the list have no speaker embedding, such as {missing[0]}: they were dropped as "
            "silent or too short, see `valle sql --query drops_by_reason`; leave them out of the list."
        )
    return prompts


def _systems_to_score(
    plan: EvaluationPlan, outputs: Mapping[str, Sequence[Output]]
) -> list[tuple[str, Sequence[EvaluationItem], Sequence[Output]]]:
    """Return every system of the report with its items and outputs, without impossible controls."""
    controls, impossible = control_items(plan.items), impossible_controls(plan)
    systems: list[tuple[str, Sequence[EvaluationItem], Sequence[Output]]] = [
        (plan.system.name, plan.items.items, outputs[plan.system.name])
    ]
    for name in control_systems(plan.decoders):
        if name not in impossible:
            systems.append((name, controls, outputs[name]))
    if SHUFFLED_SPEAKER not in impossible:
        shuffled = _shuffle_prompts(controls)
        utterances = {item.utterance for item in shuffled}
        recordings = [output for output in outputs[GROUND_TRUTH] if output.utterance in utterances]
        systems.append((SHUFFLED_SPEAKER, shuffled, recordings))
    return systems


def impossible_controls(plan: EvaluationPlan) -> dict[str, str]:
    """Return the controls that are impossible for a list, with the reason."""
    items, reasons = plan.items, dict(plan.decoders.unavailable)
    if not items.has_recordings:
        reason = "the list has no recordings of its texts"
        reasons |= dict.fromkeys((GROUND_TRUTH, *plan.decoders.by_system, SHUFFLED_SPEAKER), reason)
    if not items.has_prompts:
        reasons |= dict.fromkeys((PROMPT_COPIED, SHUFFLED_SPEAKER), "the list has texts without a prompt")
    unsupported = sorted({item.language for item in items.items} - espeak_languages())
    if unsupported:
        reasons[ESPEAK] = f"espeak-ng has no voice for {', '.join(unsupported)}"
    if len({item.speaker for item in items.items}) < 2:
        reasons[SHUFFLED_SPEAKER] = "the list has a single speaker"
    return reasons


def _scoring_run(plan: EvaluationPlan, system: str) -> ScoringRun:
    revisions = plan.models.revisions
    return ScoringRun(
        evaluation=plan.name,
        system=system,
        checkpoint_id=plan.system.checkpoint_id if system == plan.system.name else None,
        asr_model=revisions["ASR"],
        speaker_model=revisions["speaker encoder"],
        scored_at=datetime.now(UTC),
        normaliser=plan.models.normaliser,
        items_hash=plan.items.hash,
        phonemizer=revisions["phonemizer"],
    )


def _can_phonemize(items: Sequence[EvaluationItem]) -> bool:
    return all(item.language in LANGUAGES for item in items)


def _phonemize(backends: Backends, name: str) -> Phonemize:
    # Word boundaries and stress are not phonemes: PER counts substituted phonemes only.
    ignored = {SPACE, *PUNCTUATION, *_STRESS}

    def phonemize(text: str, language: str) -> list[str]:
        (symbols,) = backends.phonemizer(name).phonemize([text], language)
        return [symbol for symbol in symbols if symbol not in ignored]

    return phonemize


def _shuffle_prompts(items: Sequence[EvaluationItem]) -> list[EvaluationItem]:
    """Give every item the prompt of the next other speaker."""
    shuffled = []
    for index, item in enumerate(items):
        # A rotation uses every prompt about equally often.
        rotated = (*items[index + 1 :], *items[:index])
        donor = next((candidate for candidate in rotated if candidate.speaker != item.speaker), None)
        if donor is not None:
            shuffled.append(dataclasses.replace(item, prompt=donor.prompt))
    return shuffled


def stored_scores(evaluation: str, lake: Lake) -> list[ScoreRow]:
    """Return the stored scores of an evaluation; empty when there are none. Raise LakeError for a lost data file."""
    stored = lake.open_table(ScoreRow.table)
    if stored is None:
        return []
    try:
        # Only this table is opened: defining all views takes longer than the rest of a finished evaluation.
        table = stored.to_pyarrow_table(filters=[("evaluation", "=", evaluation)])
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"Table {ScoreRow.table} cannot be read ({error}); run `valle lake fsck`.") from error
    return list(from_table(ScoreRow, table.sort_by("score_id")))


def report_evaluation(
    plan: EvaluationPlan, rows: Sequence[ScoreRow], data_root: DataRoot, facts: Mapping[str, str]
) -> Report:
    """Write the report of an evaluation and its list of items; `facts` describe the system."""
    # Matplotlib and Jinja2 are loaded by the process that writes a report, not by those that score.
    from valle.evaluation.report.lake_sections import lake_key, lake_sections
    from valle.evaluation.report.report import write_report

    directory = data_root.reports / plan.name
    write_list(plan.items, directory / "items.json")
    items = plan.items
    provenance = {
        "evaluation": plan.name,
        **facts,
        "items": f"{len(items.items)} of {items.source}",
        "items hash": items.hash,
        "codec": plan.decoders.identity,
        **plan.models.revisions,
    }
    report = write_report(
        rows,
        directory,
        title=f"Evaluation of {plan.system.name}",
        provenance=provenance,
        sections=lambda: lake_sections(rows, data_root.lake),
        sections_key=lake_key(data_root.lake),
        impossible=impossible_controls(plan),
        notes=exclusion_notes(plan),
    )
    return dataclasses.replace(report, summary=summarize(rows, plan.system.name))


def summarize(rows: Sequence[ScoreRow], system: str) -> str:
    """Return the main scores of a system in one line, with the normaliser of its WER."""
    scored = [row for row in rows if row.system == system]
    if not scored:
        return f"{system}: no scores"
    errors, words = sum(row.word_errors for row in scored), sum(row.num_words for row in scored)
    similarities = [value for row in scored if (value := similarity(row)) is not None]
    sim_o = f"SIM-o {sum(similarities) / len(similarities):.3f}" if similarities else "SIM-o not measured"
    missing = sum(row.path is None for row in scored)
    wer = f"{100 * errors / words:.2f} % micro WER under {scored[0].normaliser}"
    return f"{system}: {wer}, {sim_o}, {missing} of {len(scored)} utterances without speech"


def exclusion_notes(plan: EvaluationPlan) -> tuple[str, ...]:
    """Describe the utterances that are not scored, because the normaliser leaves no word of their text."""
    if not plan.excluded:
        return ()
    names = ", ".join(f"`{name}`" for name in plan.excluded[:_MAX_NAMED])
    more = f" and {len(plan.excluded) - _MAX_NAMED} more" if len(plan.excluded) > _MAX_NAMED else ""
    return (
        f"{len(plan.excluded)} utterances are excluded, because the normaliser `{plan.models.normaliser}` leaves no "
        f"word of their text: {names}{more}.",
    )
