"""The report on codecs as a flow: what it leaves in the lake and, when asked for, in the header of the weights."""

import shutil
from itertools import islice
from pathlib import Path

import pytest
from pydantic import ValidationError

import flows.codec
from flows.codec_parameters import CodecReportParameters
from manifests.demo.clips import demo_clips
from valle.codec import codec_names
from valle.codec.mini.weights_file import EMBEDDED, read_header
from valle.data_root import DataRoot
from warehouse.catalogue.views import connect


def _clips(folder: Path) -> Path:
    lines = ["id\tsplit\tspeaker\tfile\tduration_s\tnative_sr\ttext"]
    for clip in islice(demo_clips(), 2):
        shutil.copy(clip.path, folder / clip.path.name)
        lines.append(f"{clip.id}\theldout\t{clip.speaker}\t{clip.path.name}\t{clip.duration}\t24000\t{clip.text}")
    (folder / "corpus.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_what_was_measured_is_in_the_lake_the_report_and_the_header(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "mini.safetensors"
    shutil.copy(EMBEDDED, weights)
    monkeypatch.setattr(flows.codec, "EMBEDDED", weights)  # The shipped file stays as it is.
    monkeypatch.setenv("VALLE_MODELS", str(tmp_path / "models"))
    (tmp_path / "clips").mkdir()
    report = flows.codec.codec_report(
        CodecReportParameters(
            data=tmp_path,
            audio=_clips(tmp_path / "clips"),
            codecs=("all",),
            num_codebooks=(64, 1),  # at most those of a codec
            scorers=(),
            into_header=True,
        )
    )
    with connect(DataRoot(tmp_path).lake.snapshot()) as connection:
        [(errors, words)] = connection.execute(
            "SELECT sum(word_errors), sum(num_words) FROM scores WHERE system = 'codec_mini_8'"
        ).fetchall()
    quality = read_header(weights).quality
    assert (quality["codebooks"], quality["clips"], quality["words"]) == (8, 2, words)
    assert quality["wer"] == pytest.approx(errors / words, abs=1e-4)
    text = report.markdown_path.read_text(encoding="utf-8")
    assert "| codec_mini_8 | 6,000 |" in text
    assert "| mini | 24,000 | 75.0 | 8 x 1024 | 6.0 |" in text
    assert "- `dac_44khz` lacks its weights; run `valle models fetch dac_44khz`" in text
    assert text.count("run `valle models fetch") == len(codec_names()) - 1


def test_a_header_is_asked_for_of_mini_only() -> None:
    with pytest.raises(ValidationError, match="put it into `codecs`"):
        CodecReportParameters(codecs=("encodec_24khz",), into_header=True)
    with pytest.raises(ValidationError, match="name no other beside it"):
        CodecReportParameters(codecs=("all", "mini"))
