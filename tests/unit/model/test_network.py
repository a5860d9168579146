import numpy as np
import pytest
import torch

from tests.unit.model.rows import (
    STOP,
    frames_of,
    mode_of,
    random_row,
    small_config,
    small_model,
    speech,
    with_code,
    with_part,
)
from valle.codec.base import CodecSpec
from valle.model.batch import make_batch
from valle.model.config import preset
from valle.model.embeddings import CodeTables, Heads
from valle.model.layout import Head, Mode
from valle.model.loss import sequence_loss
from valle.model.valle import ValleModel
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

CODEBOOKS = [0, 1, 4, 7]


def logits_of(model, rows):
    """Logits of each row of one mode, as a list."""
    batch = speech(mode_of(rows[0].codebook), rows)
    with torch.no_grad():
        flat = model(batch)
    extra = int(batch.layout.has_stop)
    return list(flat.split([frames_of(row) + extra for row in rows]))


def test_a_later_frame_never_changes_earlier_ar_logits_but_changes_its_own():
    model = small_model()
    row = random_row(np.random.default_rng(0))
    before, after = logits_of(model, [row])[0], logits_of(model, [with_code(row, 0, 3)])[0]
    assert torch.equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).any(1).all()


@pytest.mark.parametrize("codebook", [1, 4, 7])
def test_every_frame_of_a_nar_row_sees_every_other_frame(codebook):
    model = small_model()
    row = random_row(np.random.default_rng(0), codebook=codebook)
    before, after = logits_of(model, [row])[0], logits_of(model, [with_code(row, 0, 5)])[0]
    assert (before != after).any(1).all()


@pytest.mark.parametrize("codebook", [1, 4, 6])
def test_a_nar_row_sees_codebooks_below_its_level_only(codebook):
    model = small_model()
    row = random_row(np.random.default_rng(0), codebook=codebook)
    before = logits_of(model, [row])[0]
    assert not torch.equal(before, logits_of(model, [with_code(row, codebook - 1, 2)])[0])
    for above in range(codebook, 8):
        assert torch.equal(before, logits_of(model, [with_code(row, above, 2)])[0])


def test_an_ar_row_sees_codebook_0_only():
    model = small_model()
    row = random_row(np.random.default_rng(0))
    assert torch.equal(logits_of(model, [row])[0], logits_of(model, [with_code(row, 1, 2)])[0])


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_every_codebook_of_the_prompt_is_heard_at_every_level(codebook):
    model = small_model()
    row = random_row(np.random.default_rng(0), codebook=codebook)
    before = logits_of(model, [row])[0]
    for codebook in range(8):
        assert not torch.equal(before, logits_of(model, [with_code(row, codebook, 2, part="prompt")])[0])


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_text_prompt_and_language_change_the_logits(codebook):
    model = small_model()
    row = random_row(np.random.default_rng(0), codebook=codebook)
    before = logits_of(model, [row])[0]
    changes = {"text": row.fields["text"][::-1].copy(), "prompt": None, "language": np.array([0])}
    for name, value in changes.items():
        assert not torch.allclose(before, logits_of(model, [with_part(row, name, value)])[0])


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_a_row_means_the_same_alone_and_padded_in_a_batch(codebook):
    model = small_model()
    rng = np.random.default_rng(0)
    sizes = [(5, 4, 6), (9, 0, 2), (2, 7, 15), (4, 1, 1)]
    rows = [random_row(rng, codebook=codebook, symbols=s, prompt=p, frames=f) for s, p, f in sizes]
    together = logits_of(model, rows)
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(logits_of(model, [row])[0], logits, atol=1e-5, rtol=0)


def test_nar_rows_of_different_levels_share_a_batch():
    model = small_model()
    rng = np.random.default_rng(0)
    rows = [random_row(rng, codebook=codebook, frames=3 + codebook) for codebook in (5, 1, 7, 1)]
    for row, logits in zip(rows, logits_of(model, rows), strict=True):
        torch.testing.assert_close(logits_of(model, [row])[0], logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("codebook", [0, 3])
def test_what_lies_in_padded_slots_is_never_attended_to(codebook):
    model = small_model()
    rng = np.random.default_rng(0)
    batch = speech(mode_of(codebook), [random_row(rng, codebook=codebook, frames=n) for n in (3, 12)])
    inside = torch.zeros(batch.num_slots, dtype=torch.bool)
    inside[torch.cat([*batch.slots.values(), batch.separators])] = True
    handles = []
    for noise in (0.0, 100.0):

        def disturb(module, arguments, noise=noise):
            x = arguments[0].clone()
            x.view(-1, x.shape[-1])[~inside] = noise
            return (x, *arguments[1:])

        with torch.no_grad():
            handle = model.trunk.register_forward_pre_hook(disturb)
            handles.append(model(batch))
            handle.remove()
    assert not inside.all()
    assert torch.equal(handles[0], handles[1])


def test_only_ar_heads_can_stop_and_no_head_can_mask():
    model = small_model()
    rng = np.random.default_rng(0)
    assert logits_of(model, [random_row(rng)])[0].shape[1] == STOP + 1
    assert logits_of(model, [random_row(rng, codebook=2)])[0].shape[1] == STOP
    assert (model.config.stop, model.config.mask_of(Head.MASKED)) == (STOP, STOP + 1)


def test_labels_are_the_frames_and_a_stop_for_the_ar_and_one_codebook_for_the_nar():
    rng = np.random.default_rng(0)
    rows = [random_row(rng, frames=3), random_row(rng, frames=2)]
    batch = speech(Mode.AR, rows)
    assert batch.labels.tolist() == [*rows[0].fields["target"][0], STOP, *rows[1].fields["target"][0], STOP]
    rows = [random_row(rng, codebook=3, frames=3), random_row(rng, codebook=6, frames=2)]
    batch = speech(Mode.NAR, rows)
    assert batch.labels.tolist() == [*rows[0].fields["target"][3], *rows[1].fields["target"][6]]
    assert batch.heads.tolist() == [3, 3, 3, 6, 6]


def test_a_row_of_the_wrong_mode_or_without_its_codebooks_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError):
        speech(Mode.AR, [random_row(rng, codebook=1)])
    with pytest.raises(AssertionError):
        speech(Mode.NAR, [random_row(rng, codebook=5, columns=4)])


@pytest.mark.parametrize("codebook", [0, 3])
def test_every_parameter_gets_a_gradient_whatever_was_drawn(codebook):
    # AdamW leaves a parameter without gradient alone, ZeRO-3 adds an old one: engines would drift apart.
    model = small_model().train()
    batch = speech(mode_of(codebook), [random_row(np.random.default_rng(0), codebook=codebook)])
    sequence_loss(model(batch), batch).total.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_first_frame_and_the_stop_are_trained():
    model = small_model().train()
    row = random_row(np.random.default_rng(0), frames=2)
    batch = speech(Mode.AR, [row])
    logits = model(batch)
    logits.retain_grad()
    sequence_loss(logits, batch).total.backward()
    assert (logits.grad.abs().sum(1) > 0).tolist() == [True, True, True]
    assert logits.grad[0, int(row.fields["target"][0, 0])] < 0
    assert logits.grad[2, STOP] < 0


def test_the_loss_counts_per_level_and_sums_the_cross_entropy():
    batch = speech(Mode.NAR, [random_row(np.random.default_rng(0), codebook=codebook, frames=4) for codebook in (1, 3)])
    logits = torch.randn(8, STOP)
    report = sequence_loss(logits, batch)
    by_hand = -logits.log_softmax(-1)[torch.arange(8), batch.labels]
    torch.testing.assert_close(report.total, by_hand.sum())
    torch.testing.assert_close(report.losses[[1, 3]].float(), by_hand.view(2, 4).sum(1))
    assert report.counts.tolist() == [0, 4, 0, 4]
    ranks = [(logits[i] > logits[i, batch.labels[i]]).sum() < 10 for i in range(8)]
    assert report.hits.tolist() == [0, sum(ranks[:4]), 0, sum(ranks[4:])]


def test_code_tables_sum_the_first_codebooks_of_each_frame():
    tables = CodeTables(5, 7, 4)
    codes, counts = torch.randint(0, 7, (6, 3)), torch.tensor([1, 2, 3, 3, 1, 2])
    vectors = tables(codes, counts, torch.arange(3) + 2)
    for frame, (row, count) in enumerate(zip(codes, counts, strict=True)):
        expected = sum(tables.weight[(2 + k) * 7 + int(row[k])] for k in range(int(count)))
        torch.testing.assert_close(vectors[frame], expected)


def test_heads_answer_in_the_order_of_the_frames():
    heads = Heads({"digits": [2], "codes": [5, 4, 4, 4]}, 4)
    hidden, chosen = torch.randn(6, 4), torch.tensor([3, 1, 3, 2, 1, 2])
    logits = heads("codes", hidden, chosen)
    first = {1: 7, 2: 11, 3: 15}
    spans = [slice(first[int(k)], first[int(k)] + 4) for k in chosen]
    expected = torch.stack([heads.weight[span] @ h + heads.bias[span] for h, span in zip(hidden, spans, strict=True)])
    torch.testing.assert_close(logits, expected)


def test_dropout_acts_in_training_only():
    model = small_model(dropout=0.5)
    batch = speech(Mode.AR, [random_row(np.random.default_rng(0))])
    with torch.no_grad():
        assert torch.equal(model(batch), model(batch))
        model.train()
        assert not torch.equal(model(batch), model(batch))


def test_a_preset_takes_its_numbers_from_codec_phoneme_table_and_languages():
    spec = CodecSpec("any", "1", 16_000, 200, 4, 512)
    config = preset("nano", spec, num_symbols=30, languages=["fr", "en", "fr"])
    assert (config.num_codebooks, config.codebook_size, config.frame_rate, config.num_symbols) == (4, 512, 80.0, 30)
    assert config.languages == ("<unk>", "en", "fr")
    assert (config.language_id("fr"), config.language_id("ja")) == (2, 0)
    with pytest.raises(ConfigurationError, match="nano, tiny, 7m, 20m, 220m"):
        preset("huge", spec, num_symbols=30, languages=["en"])


@pytest.mark.parametrize(("size", "trunk", "total"), [("20m", 12.6, 19.6), ("220m", 201.4, 229.2)])
def test_presets_have_as_many_parameters_as_the_published_models(size, trunk, total):
    # valle_system.md 2.11, computed there from the shapes of the released weights: quarter and full.
    spec = CodecSpec("any", "1", 24_000, 320, 8, 1024)
    with torch.device("meta"):
        model = ValleModel(preset(size, spec, num_symbols=256, languages=["en", "ja", "de", "fr", "zh"]))
    assert sum(parameter.numel() for parameter in model.trunk.parameters()) / 1e6 == pytest.approx(trunk, rel=0.01)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(total, rel=0.01)


def test_a_model_of_a_codec_with_one_codebook_has_an_ar_only():
    spec = CodecSpec("any", "1", 24_000, 320, 1, STOP)
    model = ValleModel(preset("nano", spec, num_symbols=12, languages=["en"])).eval()
    batch = make_batch(TTS.layout(Mode.AR), [random_row(np.random.default_rng(0), columns=1)], model.config)
    assert model(batch).shape == (7, STOP + 1)


def test_config_survives_json():
    config = small_config(dropout=0.25)
    assert type(config).model_validate_json(config.model_dump_json()) == config
