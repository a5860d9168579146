"""The pipeline at 44.1 kHz: codes of a parallel FSQ codec, a training set, a training, speech and its scores."""

import hashlib
from pathlib import Path

import pytest
import soundfile

from manifests.demo.clips import demo_clips
from tests.nemo import write_nemo
from tests.pipeline.prepared import QUICK, folder_corpus, rows_of, run_pipeline, write_folder
from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import newest_checkpoint
from valle.cli import main
from valle.codec import codec_revision
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.phonemes import phoneme_table
from valle.stages.quantize import Quantize
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.catalogue.views import connect
from warehouse.errors import TrainingError

CODEC = "nvidia_44khz"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of the codec, fetched: a file of NeMo's form under its hash."""
    folder = tmp_path / "models"
    folder.mkdir()
    write_nemo(folder / "codec.nemo")
    digest = hashlib.sha256((folder / "codec.nemo").read_bytes()).hexdigest()
    (folder / "codec.nemo").rename(folder / f"{CODEC}-{digest[:8]}.nemo")
    monkeypatch.setenv("VALLE_MODELS", str(folder))
    return folder


QUICK_SPEECH = (
    *("--sampling.seconds", "1.2", "--sampling.decoding", "nar-len"),
    *("--sampling.masked.steps", "2"),
)


def test_a_corpus_becomes_speech_and_scores_at_44_khz(models: Path, tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "data")
    _prepare(root, tmp_path / "clips")
    _train(root)
    voice, out = next(clip.path for clip in demo_clips() if clip.duration > 2), tmp_path / "speech.wav"
    asked = ("--run", "wide", "--data", str(root.root), *QUICK_SPEECH)
    assert main(["speak", "Nine.", "--prompt", str(voice), "--out", str(out), *asked]) == 0
    info = soundfile.info(out)
    assert info.samplerate == 44_100
    assert info.duration == pytest.approx(1.2, abs=0.05)

    assert main(["evaluate", "--count", "1", "--scorers", "[]", *asked]) == 0
    scores = {str(row["system"]): row for row in rows_of(root.lake, "scores")}
    # Two utterances of one speaker are held out, so no other speaker's prompt can be shuffled in.
    assert scores.keys() == {"ground_truth", "codec", "prompt_copied", "espeak", "wide-2"}
    assert scores["wide-2"]["checkpoint_id"] == "wide-2"
    assert all(0 < float(str(row["sim_o"])) <= 1.001 for row in scores.values())
    assert scores["ground_truth"]["word_errors"] == 0
    # Random weights of a codec decode to noise.
    assert scores["codec"]["word_errors"] == scores["wide-2"]["word_errors"] == scores["codec"]["num_words"]
    for system in ("codec", "wide-2"):
        assert soundfile.info(str(scores[system]["path"])).samplerate == 44_100
    spoken = rows_of(root.lake, "(SELECT DISTINCT c.codec FROM codes c JOIN segments s USING (segment_id) "
                     "JOIN recordings r USING (recording_id) WHERE r.origin = 'generated')")  # fmt: skip
    assert [row["codec"] for row in spoken] == [codec_revision(CODEC)], "codes of the speech that was scored"


def _prepare(root: DataRoot, folder: Path) -> None:
    corpus = folder_corpus(write_folder(folder, 6, per_voice=2))
    run_pipeline(corpus, root.lake, [*QUICK[:3], Quantize(codec=CODEC)])
    with connect(root.lake.snapshot()) as connection:
        rows = connection.execute(
            "SELECT codec, num_frames, duration, rate_ratio, len(q7), max(list_max(q0)) OVER () "
            "FROM utterances JOIN current_codes USING (segment_id, codec, num_frames)"
        ).fetchall()
    assert len(rows) == 6
    for codec, num_frames, duration, ratio, length, largest in rows:
        assert codec == codec_revision(CODEC)
        assert num_frames == length == pytest.approx(duration * 44_100 / 512, abs=1)
        assert ratio == pytest.approx(24_000 / 44_100), "the recordings have half the band that the codec encodes"
        assert largest < 1000


def _train(root: DataRoot) -> None:
    spec = Backends().codec(CODEC).spec
    assert spec.order == "parallel"
    symbols = phoneme_table().symbols
    with pytest.raises(TrainingError, match="No utterance matches 'rate_ratio >= 1'"):
        select(Selection(name="whole-band", where="rate_ratio >= 1"), root, codec=spec, phoneme_symbols=symbols)
    selection = Selection(name="wide", split_policy=SplitPolicy(dev=0, test=0.4))
    select(selection, root, codec=spec, phoneme_symbols=symbols)
    result = train(
        TrainOptions(
            training_set=root.training_sets / "wide",
            run_dir=root.runs / "wide",
            model="nano",
            max_steps=2,
            batch_tokens=2048,
            init_code_embeddings="codec",
        )
    )
    assert result.step == 2
    assert read_card(newest_checkpoint(root.runs, "wide")).codec == spec
