"""The control rows have the required order, without which no metric means anything.

On the demo clips, with the checkpoint that comes along between them, and on recordings of people beside the checkout;
with the offline models.
"""

import csv
import dataclasses
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from manifests.demo.clips import HELD_OUT, demo_clips
from valle.audio import AudioLocation, read_audio
from valle.backends.registry import Backends
from valle.checkpoints.runs import EMBEDDED, newest_checkpoint
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.models import available_scorers
from valle.evaluation.metrics.score import Output, PromptEmbeddings, ScoringRun, score
from valle.evaluation.stats.aggregate import aggregate
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.systems.audio_files import find_speech
from valle.evaluation.systems.base import CODEC, ESPEAK, GROUND_TRUTH, PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.evaluation.systems.checkpoint_speech import speak_items
from valle.evaluation.systems.control_speech import find_decoders, write_controls
from valle.synthesis.options import read_sampling

REAL = Path(__file__).resolve().parents[5] / "shared" / "corpus" / "real"
NUM_ITEMS = 4
MODEL = "english"

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Clip:
    id: str
    speaker: str
    text: str
    path: Path


def synthetic():
    clips = [clip for clip in demo_clips() if clip.kind == "digits" and clip.split == HELD_OUT]
    return [Clip(clip.id, clip.speaker, clip.text, clip.path) for clip in clips]


def recorded():
    with (REAL / "corpus.tsv").open(encoding="utf-8", newline="") as table:
        return [
            Clip(row["id"], row["speaker"], row["text"], REAL / row["file"])
            for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["text_kind"] in ("reference", "asr_agreed") and 3 <= float(row["duration_s"]) <= 10
        ]


def items_of(clips):
    by_speaker = defaultdict(list)
    for clip in clips:
        by_speaker[clip.speaker].append(clip)
    pairs = [own[:2] for own in by_speaker.values() if len(own) > 1][:NUM_ITEMS]
    return [
        EvaluationItem(
            utterance=target.id,
            text=target.text,
            language="en",
            speaker=target.speaker,
            location=AudioLocation(str(target.path)),
            duration=None,
            prompt=prompt.id,
            prompt_location=AudioLocation(str(prompt.path)),
            prompt_text=prompt.text,
            prompt_duration=None,
            protocol="cross_sentence",
        )
        for target, prompt in pairs
    ]


def scored(items, directory, *, model=None):
    """Scores of every control and of a checkpoint, and the mean DistillMOS of those that are speech of their own."""
    backends = Backends()
    decoders = find_decoders("mini", backends)
    write_controls(items, decoders, backends, directory)
    outputs, naturalness = {}, {}
    spoken_by = [GROUND_TRUTH, CODEC, PROMPT_COPIED, ESPEAK]
    if model is not None:
        speak_items(items, model, name=MODEL, sampling=read_sampling(model), directory=directory, backends=backends)
        spoken_by.append(MODEL)
    for system in spoken_by:
        spoken = find_speech(items, system, directory)
        waveforms = [read_audio(AudioLocation(str(one.path)), 16_000).samples for one in spoken]
        transcriptions = backends.transcriber("tiny.en").transcribe(waveforms, "en")
        embeddings = backends.speaker_encoder("resemblyzer").embed(waveforms)
        outputs[system] = [
            Output(
                utterance=one.utterance,
                trial=one.trial,
                path=str(one.path),
                duration=len(samples) / 16_000,
                transcription=text.text,
                embedding=embedding,
            )
            for one, samples, text, embedding in zip(spoken, waveforms, transcriptions, embeddings, strict=True)
        ]
        if available_scorers(("distillmos",)):
            quality = backends.quality_scorer("distillmos").score(waveforms)
            naturalness[system] = sum(scores["distillmos"] for scores in quality) / len(quality)
    prompt_of = {item.utterance: item.prompt for item in items}
    prompts = PromptEmbeddings(recorded={prompt_of[one.utterance]: one.embedding for one in outputs[PROMPT_COPIED]})
    rows = [row for system in outputs for row in score(items, outputs[system], prompts=prompts, run=run(system))]
    shuffled = [
        dataclasses.replace(item, prompt=items[(place + 1) % len(items)].prompt) for place, item in enumerate(items)
    ]
    rows += score(shuffled, outputs[GROUND_TRUTH], prompts=prompts, run=run(SHUFFLED_SPEAKER))
    systems = aggregate(rows, options=BootstrapOptions(replicas=200))
    return {system.system: system for system in systems}, naturalness


def run(system):
    return ScoringRun(
        evaluation="controls",
        system=system,
        checkpoint_id=None,
        asr_model="tiny.en",
        speaker_model="resemblyzer",
        scored_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "clips",
    [
        synthetic,
        pytest.param(
            recorded,
            marks=[
                pytest.mark.real,
                pytest.mark.long,
                pytest.mark.skipif(not REAL.exists(), reason="the recordings lie beside the checkout, not in it"),
            ],
        ),
    ],
)
def test_controls_are_ranked_as_they_must_be(clips, tmp_path):
    items = items_of(clips())
    assert len({item.speaker for item in items}) == NUM_ITEMS
    model = newest_checkpoint(tmp_path, EMBEDDED) if clips is synthetic else None
    systems, naturalness = scored(items, tmp_path, model=model)
    wer = {name: system.wer.value for name, system in systems.items()}
    sim = {name: system.sim_o.value for name, system in systems.items()}
    assert wer[GROUND_TRUTH] <= wer[CODEC] < wer[PROMPT_COPIED]
    assert wer[GROUND_TRUTH] < wer[ESPEAK] < wer[PROMPT_COPIED]
    assert wer[PROMPT_COPIED] > 0.8
    assert sim[PROMPT_COPIED] > 0.999
    assert sim[GROUND_TRUTH] > sim[CODEC] > max(sim[SHUFFLED_SPEAKER], sim[ESPEAK])
    if naturalness:
        assert naturalness[GROUND_TRUTH] > naturalness[CODEC] > naturalness[ESPEAK]
    if model is not None:
        assert wer[CODEC] <= wer[MODEL] < wer[PROMPT_COPIED]
        assert sim[CODEC] > sim[MODEL] > max(sim[SHUFFLED_SPEAKER], sim[ESPEAK])
