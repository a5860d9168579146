import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from valle.audio import Audio, AudioLocation, write_audio
from valle.codec.mini.codec import open_mini
from valle.codec.mini.weights_file import Provenance
from valle.codec_training.balance import GradientBalancer
from valle.codec_training.band_predictor import band_loss
from valle.codec_training.dataset import open_speech_pool
from valle.codec_training.export import export_run
from valle.codec_training.loop import train_codec
from valle.codec_training.losses import (
    SpectralFeatures,
    discriminator_loss,
    energy_distance,
    feature_loss,
    generator_loss,
    spectral_distance,
)
from valle.codec_training.options import CodecTrainingOptions
from valle.codec_training.trainer import Trainer, TrainingStage, rate_progress, stage_at
from valle.data.training_audio import find_clips
from valle.state_files import read_state
from warehouse.errors import CheckpointError, ManifestError, TrainingError


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    locations = []
    for index, seconds in enumerate((0.2, 0.7, 1.1)):
        path = tmp_path / "audio" / f"{index}.wav"
        time = np.arange(int(seconds * 24_000)) / 24_000
        tone = 0.2 * np.sin(2 * np.pi * (150 + 60 * index) * time) + rng.normal(0, 0.01, len(time))
        write_audio(path, Audio(tone.astype(np.float32), 24_000))
        locations.append(AudioLocation(str(path)))
    return locations


@pytest.fixture
def options(small_config):
    return CodecTrainingOptions(
        config=small_config,
        num_steps=8,
        decoder_from=0.5,
        adversarial_from=0.75,
        batch_size=2,
        crop_frames=16,
        fitting_batches=6,
        k_means_rounds=2,
        warmup_steps=2,
        discriminator_filters=2,
        discriminator_crops=2,
        discriminator_frames=8,
        discriminator_head_start=1,
        num_examples=1,
    )


def network_of(run_directory: Path):
    return read_state(run_directory / "checkpoint.safetensors")["trainer"]["network"]


def pool_of(clips, directory):
    return open_speech_pool(clips, directory, sample_rate=24_000, hop_length=320)


def stop_after(num_steps):
    asked = iter(range(1, 1_000))
    return lambda: next(asked) >= num_steps


def test_the_schedule_has_three_stages_in_order(options):
    stages = [stage_at(step / options.num_steps, options) for step in range(options.num_steps)]
    assert stages == [TrainingStage.PRETRAIN] * 4 + [TrainingStage.DECODER] * 2 + [TrainingStage.ADVERSARIAL] * 2


def test_a_run_that_is_stopped_in_any_stage_goes_on_exactly_where_it_stood(options, clips, tmp_path):
    whole = train_codec(options, clips, tmp_path / "whole")
    assert whole.is_finished
    assert whole.num_steps == options.num_steps
    for _ in range(options.num_steps):
        part = train_codec(options, clips, tmp_path / "parts", should_stop=stop_after(1))
    assert part.is_finished
    expected, found = network_of(tmp_path / "whole"), network_of(tmp_path / "parts")
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_a_stop_request_ends_the_sitting_with_a_checkpoint(options, clips, tmp_path):
    result = train_codec(options, clips, tmp_path / "run", should_stop=stop_after(3))
    assert not result.is_finished
    assert result.num_steps == 3
    assert result.checkpoint.exists()
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_no_step_changes_what_makes_the_codes(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "run", should_stop=stop_after(1))
    before = network_of(tmp_path / "run")
    train_codec(options, clips, tmp_path / "run")
    after = network_of(tmp_path / "run")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}


def test_a_decoder_learned_for_kept_codes_leaves_their_revision_as_it_is(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "first")
    kept = export_run(tmp_path / "first", tmp_path / "first.safetensors")
    options = replace(options, start_from=tmp_path / "first.safetensors", num_steps=3, adversarial_from=1.0)
    assert {stage_at(step / 3, options) for step in range(3)} == {TrainingStage.DECODER}
    train_codec(options, clips, tmp_path / "second")
    assert export_run(tmp_path / "second", tmp_path / "second.safetensors").revision == kept.revision
    sound = np.random.default_rng(0).normal(0, 0.1, 3_200).astype(np.float32)
    first, second = open_mini(tmp_path / "first.safetensors"), open_mini(tmp_path / "second.safetensors")
    [codes] = first.encode([sound])
    np.testing.assert_array_equal(second.encode([sound])[0], codes)
    assert np.abs(first.decode([codes])[0] - second.decode([codes])[0]).max() > 0


def test_backbones_in_half_precision_learn_what_whole_ones_do(options, clips, tmp_path):
    options = replace(options, num_steps=20, decoder_from=0.8, adversarial_from=1.0)

    def missed(half_backbones: bool) -> list[float]:
        trainer = Trainer(replace(options, half_backbones=half_backbones), pool_of(clips, tmp_path / "run"))
        metrics = [trainer.step(step / 20) for step in range(20)]
        assert all(parameter.dtype == torch.float32 for parameter in trainer.network.parameters())
        return [step.get("band_energies", step.get("spectral")) for step in metrics]

    whole, half = missed(False), missed(True)
    assert half != whole
    np.testing.assert_allclose(half, whole, rtol=0.1)


def test_weights_of_another_shape_are_no_beginning(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "first")
    export_run(tmp_path / "first", tmp_path / "first.safetensors")
    wider = replace(options, config=replace(options.config, dim=48), start_from=tmp_path / "first.safetensors")
    with pytest.raises(TrainingError, match="another shape"):
        train_codec(wider, clips, tmp_path / "second")


def test_the_decoder_fools_the_critics_only_after_their_head_start(options, clips, tmp_path):
    options = replace(options, decoder_from=0.0, adversarial_from=0.0, discriminator_head_start=2)
    trainer = Trainer(options, pool_of(clips, tmp_path / "run"))
    metrics = [trainer.step(0.5) for _ in range(3)]
    assert ["adversarial" in step for step in metrics] == [False, False, True]
    assert all(step["discriminator"] > 0 and step["features"] > 0 for step in metrics)


def test_levels_are_read_better_the_longer_it_is_learned(options, clips, tmp_path):
    options = replace(options, num_steps=60, decoder_from=1.0, adversarial_from=1.0, learning_rate=5e-3)
    trainer = Trainer(options, pool_of(clips, tmp_path / "run"))
    missed = [trainer.step(step / 60)["band_energies"] for step in range(60)]
    assert np.mean(missed[-10:]) < 0.9 * np.mean(missed[:10])


def test_the_decoder_begins_with_what_the_reader_has_learned_and_brings_the_output_nearer(options, clips, tmp_path):
    options = replace(options, num_steps=60, decoder_from=0.5, learning_rate=5e-3)
    options = replace(options, adversarial_from=1.0)
    trainer = Trainer(options, pool_of(clips, tmp_path / "run"))
    for step in range(30):
        trainer.step(step / 60)
    waveforms = torch.from_numpy(trainer.pool.crops(4, 30, rng=np.random.default_rng(1)).samples)

    @torch.no_grad()
    def missed() -> float:
        network = trainer.network
        wanted, latents = network.features.band_energies(waveforms), network.encode(waveforms)
        # Before the correction, which would bring any output near.
        spoken = network.synthesize(latents, network.decoder(latents))
        return (wanted - network.features.band_energies(spoken)).abs().mean().item()

    unprepared = missed()
    losses = [trainer.step(0.5)["spectral"]]
    assert missed() < 0.7 * unprepared
    losses += [trainer.step(step / 60)["spectral"] for step in range(31, 60)]
    assert np.mean(losses[-5:]) < losses[0]


def test_a_level_far_below_the_loudest_counts_less():
    wanted = torch.zeros(1, 4, 5)
    wanted[0, 1:] = -20.0
    near, far = torch.zeros_like(wanted), torch.zeros_like(wanted)
    near[0, 0], far[0, 1] = 1.0, 1.0
    assert band_loss(wanted, wanted) == 0
    assert band_loss(wanted + near, wanted) == 4 * band_loss(wanted + far, wanted) > 0


def test_the_rate_comes_down_for_the_codes_and_again_for_the_decoder(options):
    parts = [rate_progress(progress, options) for progress in (0.0, 0.25, 0.49, 0.5, 0.75, 1.0)]
    assert parts == pytest.approx([0.0, 0.5, 0.98, 0.0, 0.5, 1.0])
    kept = replace(options, start_from=Path("weights"))
    assert rate_progress(0.4, kept) == 0.4


def test_metrics_and_examples_are_written(options, clips, tmp_path):
    reports = []
    options = replace(options, num_steps=21, adversarial_from=1.0, example_seconds=0.0)
    train_codec(options, clips, tmp_path / "run", on_report=reports.append)
    [line] = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == reports[0].num_steps == 20
    assert json.loads(line)["spectral"] > 0
    assert reports[0].seconds_left >= 0
    assert len(list((tmp_path / "run" / "examples").glob("*_step*.wav"))) > 1


def test_a_run_directory_of_another_shape_is_refused(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "run", should_stop=stop_after(1))
    wider = replace(options, config=replace(options.config, dim=48))
    with pytest.raises(CheckpointError, match="another run directory"):
        train_codec(wider, clips, tmp_path / "run")


def test_too_few_frames_for_a_codebook_are_refused(options, clips, tmp_path):
    with pytest.raises(TrainingError, match="1 batches of 2 crops have 32 frames, fewer than the 64 entries"):
        train_codec(replace(options, fitting_batches=1), clips, tmp_path / "run")


def test_a_run_directory_with_other_clips_is_refused(clips, tmp_path):
    pool_of(clips, tmp_path / "run")
    with pytest.raises(TrainingError, match="other clips"):
        pool_of(clips[:1], tmp_path / "run")


def test_an_undecodable_clip_is_left_out_and_nothing_at_all_is_an_error(clips, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    pool = pool_of([AudioLocation(str(broken)), *clips], tmp_path / "one")
    assert len(pool.starts) == len(clips) + 1
    with pytest.raises(TrainingError, match="none of the 1"):
        pool_of([AudioLocation(str(broken))], tmp_path / "two")


def test_crops_come_from_within_one_clip_and_short_clips_are_padded(clips, tmp_path):
    pool = pool_of(clips, tmp_path / "run")
    crops = pool.crops(40, 40, rng=np.random.default_rng(1))
    assert crops.samples.shape == (40, 12_800)
    assert crops.pitch.shape == crops.voicing.shape == crops.presence.shape == (40, 40)
    is_short = crops.presence.sum(1) == 15
    assert 0 < is_short.sum() < 40
    assert np.abs(crops.samples[is_short, 4_800:]).max() == 0
    assert crops.presence[~is_short].min() == 1


def test_the_pitch_of_a_crop_is_that_of_its_sound(clips, tmp_path):
    pool = pool_of(clips, tmp_path / "run")
    crops = pool.crops(20, 10, rng=np.random.default_rng(1))
    heard = np.exp2(crops.pitch[crops.voicing > 0])
    assert len(heard) > 50
    nearest = np.abs(heard[:, None] - [150, 210, 270]).min(1)
    assert np.median(nearest) < 2


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_a_crop_from_a_faster_tape_is_higher_and_shorter(clips, tmp_path, speed):
    pool = pool_of(clips, tmp_path / "run")
    crops = pool.crops(20, 40, rng=np.random.default_rng(1), speeds=(speed, speed))
    heard = np.exp2(crops.pitch[crops.voicing > 0])
    assert np.median(np.abs(heard[:, None] - speed * np.array([150, 210, 270])).min(1)) < 2
    is_short = crops.presence.sum(1) == int(15 / speed)
    assert is_short.any()
    for row in range(20):
        end = int(crops.presence[row].sum()) * 320
        # What is heard has the pitch that is said.
        spectrum = np.abs(np.fft.rfft(crops.samples[row, :end] * np.hanning(end)))
        said = np.exp2(crops.pitch[row, 5])
        near = spectrum[round(said * 0.95 * end / 24_000) : round(said * 1.05 * end / 24_000) + 1]
        assert near.max() > 0.3 * spectrum.max()


def test_an_exported_run_opens_and_makes_the_same_codes_in_half_precision(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "run")
    header = export_run(tmp_path / "run", tmp_path / "codec.safetensors", licence="CC0", credits_line="Read by me")
    codec = open_mini(tmp_path / "codec.safetensors")
    assert codec.spec.revision == header.revision
    assert header.provenance == Provenance(
        num_steps=options.num_steps,
        training_data=f"{len(clips)} clips, 0.00 hours",
        licence="CC0",
        credits="Read by me",
    )
    [codes] = codec.encode([np.random.default_rng(0).normal(0, 0.1, 3_000).astype(np.float32)])
    assert codes.shape == (8, 10)


def test_a_run_without_codebooks_is_not_exported(options, clips, tmp_path):
    train_codec(options, clips, tmp_path / "run", should_stop=stop_after(1))
    with pytest.raises(TrainingError, match="first stage"):
        export_run(tmp_path / "run", tmp_path / "codec.safetensors")
    with pytest.raises(TrainingError, match="does not exist"):
        export_run(tmp_path / "nowhere", tmp_path / "codec.safetensors")


def test_held_out_speakers_and_telephone_speech_are_not_training_clips(tmp_path):
    header = "id\tsplit\tfile\tnative_sr\n"
    rows = ["a\tmain\ta.ogg\t16000", "b\theldout\tb.ogg\t16000", "c\tmain\tc.ogg\t8000", "d\tmain\td.ogg\t48000"]
    (tmp_path / "corpus.tsv").write_text(header + "\n".join(rows) + "\n")
    assert [Path(clip.path).name for clip in find_clips(tmp_path)] == ["a.ogg", "d.ogg"]


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="no training audio"):
        find_clips(tmp_path)


def test_the_spectral_distance_is_zero_for_the_same_sound_and_grows_with_the_difference():
    features = SpectralFeatures(24_000)
    sound = torch.randn(2, 6_000, generator=torch.Generator().manual_seed(0)) * 0.1
    same, near, far = (spectral_distance(features(sound), features(sound * gain)) for gain in (1.0, 1.1, 3.0))
    assert same == 0
    assert 0 < near < far


def test_noise_of_the_right_level_scores_better_than_its_average():
    """The median spectrum of noise is nearer to any noise than other noise is, and yet it is the worse output."""
    generator = torch.Generator().manual_seed(0)
    features = SpectralFeatures(24_000)
    target, one, other = (features(torch.randn(4, 24_000, generator=generator) * 0.1) for _ in range(3))
    flat = [(weight, value.median(-1, keepdim=True).values.expand_as(value)) for weight, value in target]
    assert spectral_distance(target, flat) < spectral_distance(target, one)
    assert energy_distance(target, one, other) < energy_distance(target, flat, flat)


def test_hinge_losses_are_zero_when_the_judge_is_right_or_fooled():
    good, bad = [torch.full((2, 3), 2.0)], [torch.full((2, 3), -2.0)]
    assert discriminator_loss(good, bad) == 0
    assert discriminator_loss(bad, good) == 6
    assert generator_loss(good) == 0
    assert generator_loss(bad) == 3


def test_feature_matching_is_relative_to_the_size_of_the_features():
    real, made = [[torch.full((4,), 2.0)]], [[torch.full((4,), 3.0)]]
    assert feature_loss(real, real) == 0
    assert feature_loss(real, made) == 0.5


def test_a_listener_has_its_say_while_the_decoder_learns_without_critics(options, clips, tmp_path):
    options = replace(options, asr_encoder="tiny.en", asr_loss_weight=5.0, decoder_from=0.0)
    pool = pool_of(clips, tmp_path / "run")
    trainer, same, deaf = (
        Trainer(options, pool),
        Trainer(options, pool),
        Trainer(replace(options, asr_encoder=None), pool),
    )
    first, again, without = (one.step(0.0) for one in (trainer, same, deaf))
    assert first["spectral"] == without["spectral"], "the first step begins at the same weights"
    weights, repeated, others = (one.network.decoder.harmonics.weight.clone() for one in (trainer, same, deaf))
    assert torch.equal(weights, repeated)
    assert not torch.equal(weights, others)
    heard = [first, *(trainer.step(progress) for progress in (0.6, 0.8))]
    assert ["asr" in step for step in heard] == [True, True, False]
    assert again["asr"] == first["asr"]


def test_losses_of_any_steepness_get_their_shares_of_the_gradient():
    output = torch.zeros(4, requires_grad=True)
    losses = {"steep": 1_000 * output[0], "flat": 0.001 * output[1]}
    gradient = GradientBalancer({"steep": 1.0, "flat": 3.0}).gradient(losses, output)
    torch.testing.assert_close(gradient, torch.tensor([1.0, 3.0, 0.0, 0.0]))


def test_a_loss_that_is_satisfied_for_a_while_pulls_less():
    output = torch.zeros(2, requires_grad=True)
    balancer = GradientBalancer({"one": 1.0}, decay=0.9)
    balancer.gradient({"one": 10 * output[0]}, output)
    later = balancer.gradient({"one": output[0]}, output)
    assert later[0] == pytest.approx(1 / 9.1)


def test_a_loss_without_gradient_adds_nothing():
    output = torch.zeros(2, requires_grad=True)
    gradient = GradientBalancer({"none": 1.0}).gradient({"none": 0 * output[0]}, output)
    assert torch.equal(gradient, torch.zeros(2))
