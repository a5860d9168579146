import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_config, small_model, speech, with_code, with_part
from valle.model.batch import IGNORED, make_batch
from valle.model.layout import CodebookRange, Head, Marker, MaskKind, Mode, Table
from valle.model.loss import sequence_loss
from valle.model.row import Row
from valle.tasks.length import LENGTH
from valle.tasks.registry import TASKS
from valle.tasks.transcription import TRANSCRIPTION
from valle.tasks.tts import TTS


def test_each_mode_binds_table_head_mask_shift_and_stop():
    bound = {
        mode: (layout.output.table, layout.output.codebooks, layout.head, layout.mask, layout.shift, layout.has_stop)
        for mode in (Mode.AR, Mode.NAR_LEN, Mode.NAR)
        for layout in [TTS.layout(mode)]
    }
    causal, full = MaskKind.CAUSAL, MaskKind.FULL
    assert bound == {
        Mode.AR: (Table.NEXT_CODES, CodebookRange.GROUP, Head.CODES, causal, 1, True),
        Mode.NAR_LEN: (Table.MASKED_CODES, CodebookRange.FIRST, Head.MASKED, full, 0, False),
        Mode.NAR: (Table.LOWER_CODES, CodebookRange.BELOW, Head.CODES, full, 0, False),
    }


def test_given_speech_is_embedded_with_all_its_codebooks():
    for layout in TASKS.layouts:
        ranges = {field.codebooks for field in layout.fields[:-1] if field.table is Table.PROMPT_CODES}
        assert ranges <= {CodebookRange.ALL}


def test_the_modes_have_tables_of_codebook_0_of_their_own():
    config = small_config(group=2)
    spans = {
        Table.LOWER_CODES: range(config.num_codebooks - 1),
        Table.MASKED_CODES: range(1),
        Table.NEXT_CODES: range(config.group),
    }
    used = [config.first_table(table) + number for table, span in spans.items() for number in span]
    assert sorted(used) == list(range(config.num_codebooks + config.group))


def test_the_fields_of_every_layout_come_in_the_specified_order():
    # text, language, codebook, then the given speech, with the task where the other fields do not tell it apart.
    order = {
        "tts": "text language codebook prompt target",
        "tts-c": "text language codebook prompt <task> target",
        "len": "text language codebook prompt digits",
        "stt": "speech language codebook text",
        **dict.fromkeys(["cse", "nse"], "text language codebook before <task> after target"),
        **dict.fromkeys(["ns", "sr", "tse", "vc", "svc"], "text language codebook prompt <task> mixture target"),
        "phn": "bytes language codebook text",
        "un-phn": "text language codebook bytes",
        "tts-raw": "bytes language codebook prompt target",
    }
    assert {layout.task for layout in TASKS.layouts} == set(order)
    for layout in TASKS.layouts:
        # The AR has the speech before an edited span in its target.
        begins_with_target = layout.task in ("cse", "nse") and layout.mode is Mode.AR
        expected = order[layout.task].replace("before ", "") if begins_with_target else order[layout.task]
        assert " ".join(field.name for field in layout.fields) == expected
        has_aligned = "mixture" in expected and layout.mode is not Mode.AR
        assert [field.name for field in layout.aligned] == ["mixture"] * has_aligned


def row_for(layout, rng, *, frames=6):
    """A random row with something in every field."""
    codebook = 3 if layout.mode is Mode.NAR else 0
    fields = {}
    for field in layout.fields:
        if field.codebooks is not None:
            fields[field.name] = rng.integers(0, STOP, (8, frames))
        elif field.table is Table.TASKS:
            fields[field.name] = np.array([Marker.MASK.id])
        elif field.table is not Table.CODEBOOKS:
            high = {Table.LANGUAGES: 2, Table.DIGITS: 10}.get(field.table, 12)
            fields[field.name] = rng.integers(3 if high == 12 else 0, high, 1 if high == 2 else frames)
    masked = np.arange(frames) % 3 > 0 if layout.mode is Mode.NAR_LEN else None
    return Row(codebook, fields, masked)


@pytest.mark.parametrize("layout", TASKS.layouts, ids=lambda layout: layout.name)
def test_every_layout_runs_learns_and_ignores_padding(layout):
    model = small_model().train()
    rng = np.random.default_rng(0)
    rows = [row_for(layout, rng), row_for(layout, rng, frames=3)]
    batch = make_batch(layout, rows, model.config)
    logits = model(batch)
    report = sequence_loss(logits, batch)
    report.total.backward()
    # One gradient per parameter in every layout: see valle/model/embeddings.py.
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    alone = make_batch(layout, rows[:1], model.config)
    torch.testing.assert_close(model(alone), logits[: len(alone.predictions)], atol=1e-5, rtol=0)


def test_a_nar_len_row_learns_what_it_hides_and_reads_the_rest():
    rng = np.random.default_rng(0)
    masked = np.array([True, False, True, True, False, False])
    row = random_row(rng, masked=masked)
    batch = speech(Mode.NAR_LEN, [row])
    codes = row.fields["target"][0]
    assert batch.labels.tolist() == [code if hidden else IGNORED for code, hidden in zip(codes, masked, strict=True)]
    assert batch.elements["target"][:, 0].tolist() == [STOP + 1 if m else c for c, m in zip(codes, masked, strict=True)]
    model = small_model()
    with torch.no_grad():
        before = model(batch)
        hidden = model(speech(Mode.NAR_LEN, [with_code(row, 0, 2)]))
        shown = model(speech(Mode.NAR_LEN, [with_code(row, 0, 5)]))
    assert torch.equal(before, hidden)
    assert (before != shown).any(1).all()
    report = sequence_loss(before, batch)
    assert report.counts.tolist() == [3]
    torch.testing.assert_close(
        report.total, torch.nn.functional.cross_entropy(before[masked], batch.labels[masked], reduction="sum")
    )


def test_an_empty_condition_is_the_language_and_the_codebook():
    row = random_row(np.random.default_rng(0))
    bare = with_part(with_part(row, "text", None), "prompt", None)
    batch = speech(Mode.AR, [bare])
    assert batch.num_tokens == 2 + 2 + 6


@pytest.mark.parametrize("frames", [5, 6, 7, 8])
def test_a_group_of_frames_is_read_in_one_slot_and_predicted_from_one(frames):
    rng = np.random.default_rng(0)
    row = random_row(rng, frames=frames)
    codes = row.fields["target"][0].tolist()
    batch = speech(Mode.AR, [row], group=3)
    full = frames // 3
    assert batch.elements["target"].tolist() == [codes[3 * i : 3 * i + 3] for i in range(full)]
    padded = codes + [STOP] * (3 * (full + 1) - frames)
    assert batch.labels.tolist() == padded
    # The first frame has the head of codebook 0, the others have heads after the levels.
    assert batch.heads.tolist() == [0, 8, 9] * (full + 1)
    model = small_model(group=3)
    with torch.no_grad():
        assert model(batch).shape == (3 * (full + 1), STOP + 1)


def test_an_utterance_ends_its_transcript_with_the_end_symbol_and_its_length_with_a_stop_digit():
    rng = np.random.default_rng(0)
    config = small_config()
    speech_fields = {"speech": rng.integers(0, STOP, (8, 7)), "language": np.array([1]), "text": np.array([5, 6])}
    assert make_batch(TRANSCRIPTION.layout, [Row(0, speech_fields)], config).labels.tolist() == [5, 6, 2]
    length_fields = {"text": np.array([1, 5, 2]), "language": np.array([1]), "digits": np.array([1, 7, 3])}
    assert make_batch(LENGTH.digit_by_digit, [Row(0, length_fields)], config).labels.tolist() == [1, 7, 3, 10]


def test_a_field_that_a_layout_does_not_have_is_refused():
    row = with_part(random_row(np.random.default_rng(0)), "noisy", np.zeros((8, 3), dtype=np.int64))
    with pytest.raises(AssertionError, match="tts/ar has no field noisy"):
        speech(Mode.AR, [row])
