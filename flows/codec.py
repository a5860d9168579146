"""Flows of the codecs: training of the embedded codec, and the report on any codec."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow

from flows.codec_parameters import ALL, CodecReportParameters, TrainCodecParameters
from flows.machine.devices import process_backends
from flows.machine.workers import Workers
from flows.runtime.artifacts import publish_report
from flows.runtime.notices import notify
from flows.runtime.subprocesses import run_module
from valle.backends.fetched import stored_weights
from valle.codec import codec_names, codec_obstacle, codec_spec
from valle.codec.mini.network import MINI_44KHZ, MiniConfig
from valle.codec.mini.weights_file import EMBEDDED, write_quality
from valle.codec_training.__main__ import TrainingOrder
from valle.codec_training.loop import CHECKPOINT
from valle.codec_training.options import CodecTrainingOptions
from valle.data.training_audio import clips_of_set, find_clips
from valle.evaluation.codec.clips import clips_of_folder, clips_of_lake
from valle.evaluation.codec.measure import CodecMeasurement, codebook_counts, measure_codec
from valle.evaluation.codec.report import quality_figures, write_codec_report
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.models import MetricModels, available_scorers
from valle.evaluation.systems.control_speech import decoder_revision
from valle.reporting import Report, write_text
from valle.statistics.training import plot_training
from valle.text.normalise import default_normaliser
from warehouse.errors import CommitConflict, ConfigurationError
from warehouse.fingerprints import short_hash
from warehouse.model_rows import ScoreRow


@flow(name="train-codec", flow_run_name="train-codec {parameters.run}")
def train_codec(parameters: TrainCodecParameters) -> Path:
    """Train the embedded codec in a subprocess, which saves and ends when the flow is cancelled."""
    root = parameters.data_root
    if (parameters.training_set is None) == (not parameters.audio):
        raise ConfigurationError("Name either a training set or at least one folder of audio.")
    clips = (
        clips_of_set(root, parameters.training_set)
        if parameters.training_set is not None
        else [clip for folder in parameters.audio for clip in find_clips(folder)]
    )
    directory = root.runs / parameters.run
    order = TrainingOrder(
        run_directory=directory,
        clips=tuple(clips),
        options=CodecTrainingOptions(
            hours=parameters.hours if parameters.steps is None else None,
            num_steps=parameters.steps or CodecTrainingOptions().num_steps,
            batch_size=parameters.batch_size,
            fitting_batches=parameters.fitting_batches,
            config=MiniConfig() if parameters.sample_rate == MiniConfig().sample_rate else MINI_44KHZ,
            start_from=None if parameters.codes == "new" else _weights(parameters.sample_rate),
            adversarial_from=parameters.adversarial_from,
            learning_rate=parameters.learning_rate,
            asr_encoder=parameters.asr_encoder,
            asr_loss_weight=parameters.asr_loss_weight,
            repulsion=parameters.repulsion,
            speeds=parameters.speeds,
            half_backbones=parameters.half_backbones,
        ),
        threads=parameters.threads,
    )
    described = directory / "order.json"
    write_text(described, order.model_dump_json(indent=1) + "\n")
    run_module("valle.codec_training", [str(described)], what=f"Training codec {parameters.run}")
    _report_training(parameters)
    if parameters.sample_rate == MiniConfig().sample_rate:
        notify("To make it `mini`: `python -m valle.codec_training.export %s`", directory)
    else:
        notify("To use it: `python -m valle.codec_training.export %s --to FILE`, then", directory)
        notify("`valle models fetch mini_44khz --source FILE`.")
    return directory / CHECKPOINT


def _weights(sample_rate: int) -> Path:
    return EMBEDDED if sample_rate == MiniConfig().sample_rate else stored_weights("mini_44khz")


def _report_training(parameters: TrainCodecParameters) -> None:
    directory = parameters.data_root.runs / parameters.run
    metrics = directory / "metrics.jsonl"
    if not metrics.exists():
        return  # Ended before the first line of metrics.
    folder = parameters.data_root.reports / f"train-codec-{parameters.run}"
    plot = plot_training(metrics, folder / "loss.png", fields=("spectral",))
    last = json.loads(metrics.read_text(encoding="utf-8").splitlines()[-1])
    lines = [f"| {name} | {value} |" for name, value in last.items()]
    markdown = folder / "report.md"
    write_text(
        markdown,
        f"# Codec training {parameters.run}\n\n![loss](loss.png)\n\n| metric | last |\n| --- | ---: |\n"
        + "\n".join(lines)
        + f"\n\nExamples to listen to: `{directory / 'examples'}`\n",
    )
    publish_report(f"train-codec {parameters.run}", markdown, [plot])


@flow(name="codec-report", flow_run_name="codec-report {parameters.subject}")
def codec_report(parameters: CodecReportParameters) -> Report:
    """Measure codecs: bit rate, codebook use, WER, speaker similarity and naturalness beside the recordings."""
    root = parameters.data_root
    items = (
        clips_of_folder(parameters.audio, split=parameters.split, count=parameters.count, longest=parameters.longest)
        if parameters.audio is not None
        else clips_of_lake(root.lake, where=parameters.where, count=parameters.count, longest=parameters.longest)
    )
    backends = process_backends(Workers(devices=(parameters.device,), threads=parameters.threads))
    models = MetricModels(
        asr=parameters.asr,
        speaker_encoder=parameters.speaker_encoder,
        scorers=available_scorers(parameters.scorers),
        normaliser=default_normaliser(items[0].language),
    )
    measurements: list[CodecMeasurement] = []
    codecs, unavailable = _chosen(parameters.codecs)
    for codec in codecs:
        counts = codebook_counts(codec_spec(codec), parameters.num_codebooks)
        evaluation = f"codec-report-{_identity(codec, items, counts, models)}"
        measured = measure_codec(
            items,
            codec,
            counts,
            evaluation=evaluation,
            speech=root.speech / evaluation,
            models=models,
            backends=backends,
            now=datetime.now(UTC),
        )
        try:
            root.lake.append(ScoreRow, measured.rows, f"scores:{evaluation}")
        except CommitConflict:
            notify("The scores of %s are in the lake already.", evaluation)
        measurements.append(measured)
    if parameters.into_header:
        _state_quality(measurements, parameters.num_codebooks)
    name = "codecs-" + short_hash(",".join(m.rows[0].evaluation for m in measurements))[:8]
    written = write_codec_report(
        measurements,
        parameters.num_codebooks,
        root.reports / name,
        title=f"Codecs: {', '.join(codecs)}",
        unavailable=unavailable,
    )
    root.catalogue.refresh()
    publish_report(f"codec-report {parameters.subject}", written.markdown_path, [plot.path for plot in written.plots])
    notify("Report: %s", written.markdown_path)
    return written


def _chosen(names: Sequence[str]) -> tuple[Sequence[str], dict[str, str]]:
    """Return the codecs to measure, and what those lack that `all` includes and that cannot be opened here."""
    if tuple(names) != (ALL,):
        return names, {}
    lacks = {name: codec_obstacle(name) for name in codec_names()}
    return [name for name, lack in lacks.items() if lack is None], {name: lack for name, lack in lacks.items() if lack}


def _state_quality(measurements: Sequence[CodecMeasurement], num_codebooks: Sequence[int]) -> None:
    for measured in measurements:
        if measured.spec.name == "mini":
            write_quality(EMBEDDED, quality_figures(measured, codebook_counts(measured.spec, num_codebooks)[0]))
            notify("The header of %s has the measured figures.", EMBEDDED)


def _identity(codec: str, items: Sequence[EvaluationItem], num_codebooks: Sequence[int], models: MetricModels) -> str:
    # Of all the codec's weights: another decoder of the same codes sounds different.
    content = [decoder_revision(codec), [item.utterance for item in items], num_codebooks, models.revisions]
    return short_hash(json.dumps(content, sort_keys=True))[:8]
