"""One step of each stage of the codec training, and the state that makes a run resumable exactly where it stood."""

import math
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from valle.codec.mini.decoder import Filters
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.source import Voice
from valle.codec.mini.voice import voice_losses
from valle.codec.mini.weights_file import read_network
from valle.codec_training.asr_loss import listening_loss, open_listener
from valle.codec_training.balance import GradientBalancer
from valle.codec_training.band_predictor import LevelReader, level_loss
from valle.codec_training.dataset import SpeechPool
from valle.codec_training.discriminator import build_discriminator
from valle.codec_training.fit import fit_codes
from valle.codec_training.losses import (
    SpectralFeatures,
    discriminator_loss,
    energy_distance,
    feature_loss,
    generator_loss,
)
from valle.codec_training.options import CodecTrainingOptions
from warehouse.errors import TrainingError

Metrics = dict[str, float]
QUIETEST_EXCERPT = 0.01  # RMS
_FILTER_RATE = 0.02


class TrainingStage(StrEnum):
    """What a step trains.

    A reading of levels, the decoder, or the decoder against critics. The codes are fixed before the first step.
    """

    READING = "reading"
    DECODER = "decoder"
    ADVERSARIAL = "adversarial"


def stage_at(progress: float, options: CodecTrainingOptions) -> TrainingStage:
    """The stage at `progress` (0 to 1) of the schedule; a decoder that goes on has learned to read."""
    if progress >= options.adversarial_from:
        return TrainingStage.ADVERSARIAL
    is_reading = progress < options.decoder_from and options.start_from is None
    return TrainingStage.READING if is_reading else TrainingStage.DECODER


def part_of_rate(progress: float, options: CodecTrainingOptions) -> float:
    """How far (0 to 1) the learning rate has come down: once while reading, then again for the decoder."""
    if options.start_from is not None or not 0 < options.decoder_from < 1:
        return progress
    if progress < options.decoder_from:
        return progress / options.decoder_from
    return (progress - options.decoder_from) / (1 - options.decoder_from)


class Trainer:
    """Network, critics, optimizers and random states of a run."""

    def __init__(self, options: CodecTrainingOptions, pool: SpeechPool) -> None:
        self.options = options
        self.pool = pool
        torch.manual_seed(options.seed)
        self.network = _first_network(options)
        self.reader = LevelReader(options.config)
        self.average = {name: value.clone() for name, value in self.network.decoder.state_dict().items()}
        self.critics = build_discriminator(options.discriminator_filters)
        self.features = SpectralFeatures(options.config.sample_rate)
        self.listener = open_listener(options.listener, options.config.sample_rate) if options.listener else None
        self.optimizer = self._optimizer(nn.ModuleList([self.network, self.reader]))
        self.critics_optimizer = self._optimizer(self.critics)
        self.balancer = GradientBalancer(
            {"spectral": options.spectral_share, "features": options.feature_share, "fooling": options.fooling_share}
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.num_steps = 0
        self.num_critics_steps = 0
        self.has_codes = self.has_filters = options.start_from is not None

    def _optimizer(self, module: nn.Module) -> torch.optim.AdamW:
        """A weight of the filter back, which has a thousand beside it, learns a little; what is computed, nothing."""
        groups: dict[float, list[nn.Parameter]] = {_FILTER_RATE: [], 1.0: []}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups[_FILTER_RATE if ".inverse." in name else 1.0].append(parameter)
        parameters = [{"params": group, "factor": factor} for factor, group in groups.items() if group]
        return torch.optim.AdamW(parameters, lr=self.options.learning_rate, betas=(0.8, 0.99))

    def _batch(self) -> tuple[Tensor, Voice, Tensor]:
        """(waveforms [B, N], their voice, presence [B, T])."""
        options = self.options
        crops = self.pool.crops(options.batch_size, options.crop_frames, rng=self.rng, speeds=options.speeds)
        gains = self.rng.uniform(options.min_gain, 1.0, (options.batch_size, 1)).astype(np.float32)
        voice = Voice(torch.from_numpy(crops.pitch), torch.from_numpy(crops.voicing))
        return torch.from_numpy(crops.samples * gains), voice, torch.from_numpy(crops.presence)

    def _set_rate(self, progress: float) -> float:
        warmup = min(1.0, (self.num_steps + 1) / self.options.warmup_steps)
        part = part_of_rate(min(progress, 1.0), self.options)
        rate = self.options.learning_rate * warmup * max(0.01, 0.5 * (1 + math.cos(math.pi * part)))
        for optimizer, factor in ((self.optimizer, 1.0), (self.critics_optimizer, self.options.critics_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor * group["factor"]
        return rate

    def _num_codebooks(self) -> Tensor:
        """How many codebooks each crop uses: all for seven of ten, else 1, 2 or 4; one number per frame [B * T]."""
        all_levels = self.options.config.num_codebooks
        choices = torch.tensor([all_levels] * 7 + [min(n, all_levels) for n in (1, 2, 4)])
        drawn = torch.randint(len(choices), (self.options.batch_size,), generator=self.generator)
        return choices[drawn].repeat_interleave(self.options.crop_frames)

    def _speak(self, latents: Tensor, voice: Voice) -> tuple[Filters, Tensor]:
        """(filters, waveforms [2 B, N]) of latents [B, T, D]: each twice, with two draws of noise and of phase.

        Where in a period a pulse falls cannot be known. Were it the same in both outputs, what it leaves unexplained
        would be put down to noise, and voiced speech would come out whispered. The pitch is the true one: at its own
        an output would drift from the harmonics it is compared with.
        """
        decoder = self.network.decoder
        with self._backbone_precision():
            filters = decoder(latents)
        filters = filters.float()
        shape = (len(latents), latents.shape[1] * self.options.config.hop_length)
        levels = self.network.wanted_levels(latents, filters)
        outputs = []
        for _ in range(2):
            start = torch.rand(len(latents), 1, generator=self.generator, dtype=torch.float64)
            noise = torch.randn(shape, generator=self.generator)
            voiced = decoder.voiced(filters, decoder.pulses(voice, start))
            outputs.append(self.network.correction(decoder.add_noise(voiced, filters, noise), levels))
        return filters, torch.cat(outputs)

    def _reconstruction_loss(self, outputs: Tensor, target: Tensor, metrics: Metrics) -> Tensor:
        """How far the outputs [2 B, N] are from the recordings [B, N], by their spectra and for a listener."""
        loss = self._spectral_loss(outputs, target, metrics)
        if self.listener is None:
            return loss
        with torch.no_grad():
            wanted = self.listener(target)
        # One of the two outputs is enough: they differ in what a listener does not attend to.
        listening = listening_loss(wanted, self.listener(outputs[: len(target)]))
        metrics["listening"] = listening.item()
        return loss + self.options.listening_weight * listening

    def _spectral_loss(self, outputs: Tensor, target: Tensor, metrics: Metrics) -> Tensor:
        one, other = outputs.chunk(2)
        with torch.no_grad():
            wanted = self.features(target)
        features = self.features(one), self.features(other)
        loss = energy_distance(wanted, *features, repulsion=self.options.repulsion)
        metrics["spectral"] = loss.item()
        return loss

    def _voice_loss(self, latents: Tensor, voice: Voice, presence: Tensor, metrics: Metrics) -> Tensor:
        """What the voice network misses of pitch and voicing."""
        pitch, voicing = voice_losses(self.network.decoder.voice(latents), voice, presence)
        metrics |= {"pitch": pitch.item(), "voicing": voicing.item()}
        return self.options.pitch_weight * pitch + self.options.voicing_weight * voicing

    def _other_losses(
        self, filters: Filters, latents: Tensor, voice: Voice, presence: Tensor, metrics: Metrics
    ) -> Tensor:
        """What the voice network misses, and a pull of phase and gains to where nothing else decides."""
        restraint = filters.phase.square().mean()
        restraint = restraint + filters.pulse_gains.square().mean() + filters.noise_gains.square().mean()
        return self._voice_loss(latents, voice, presence, metrics) + self.options.restraint_weight * restraint

    def _reading_loss(
        self, latents: Tensor, levels: Tensor, voice: Voice, presence: Tensor, metrics: Metrics
    ) -> Tensor:
        """How far levels [B, T, levels] and voice are from what is read off the latents [B, T, D]."""
        with self._backbone_precision():
            read = self.reader(self.network.decoder, latents)
        read = read.float()
        metrics["levels"] = (read.detach() - levels).abs().mean().item()
        loss = self.options.level_weight * level_loss(read, levels)
        return loss + self._voice_loss(latents, voice, presence, metrics)

    def _descend(self, loss: Tensor) -> None:
        """One optimizer step along the gradients of `loss` and those already there."""
        torch.autograd.backward(loss)
        clip_grad_norm_([*self.network.parameters(), *self.reader.parameters()], self.options.max_gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _backbone_precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.options.half_backbones)

    def _features(self) -> tuple[Tensor, Voice, Tensor]:
        """(features [B, T, F], their voice, presence [B, T])."""
        waveforms, voice, presence = self._batch()
        with torch.no_grad():
            return self.network.features(waveforms), voice, presence

    def _fit_codes(self) -> None:
        features = torch.cat([self._features()[0] for _ in range(self.options.fitting_batches)])
        fit_codes(self.network, self.reader, features, num_rounds=self.options.k_means_rounds, generator=self.generator)
        self.has_codes = True

    @torch.no_grad()
    def _quantized(self, latents: Tensor) -> Tensor:
        """Latents [B, T, D] as their codes have them, of as many codebooks as are drawn for each crop."""
        quantizer = self.network.quantizer
        return quantizer.decode(quantizer.encode(latents.flatten(0, 1)), self._num_codebooks()).view_as(latents)

    def _reading_step(self, metrics: Metrics) -> None:
        features, voice, presence = self._features()
        latents = self._quantized(self.network.transform(features))
        levels = features[..., : self.network.features.num_levels]
        self._descend(self._reading_loss(latents, levels, voice, presence, metrics))

    def _begin_filters(self) -> None:
        """Let the decoder begin with what the reader has learned."""
        self.reader.begin_filters(self.network.decoder, self.network.features.log_mel)
        self.average = {name: value.clone() for name, value in self.network.decoder.state_dict().items()}
        self.has_filters = True

    def _decoder_step(self, metrics: Metrics) -> None:
        target, voice, presence = self._batch()
        latents = self._quantized(self.network.encode(target))
        filters, outputs = self._speak(latents, voice)
        loss = self._reconstruction_loss(outputs, target, metrics)
        self._descend(loss + self._other_losses(filters, latents, voice, presence, metrics))

    def _critics_step(self, real: Tensor, made: Tensor) -> tuple[float, list[list[Tensor]]]:
        """Teach the critics; returns their loss and their activations for the recordings."""
        self.critics.requires_grad_(True)
        real_scores, real_maps = self.critics(real)
        made_scores, _ = self.critics(made.detach())
        loss = discriminator_loss(real_scores, made_scores)
        self.critics_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        clip_grad_norm_(self.critics.parameters(), self.options.max_gradient_norm)
        self.critics_optimizer.step()
        self.critics.requires_grad_(False)
        return loss.item(), [[activation.detach() for activation in maps] for maps in real_maps]

    def _adversarial_step(self, metrics: Metrics) -> None:
        options, hop = self.options, self.options.config.hop_length
        target, voice, presence = self._batch()
        latents = self._quantized(self.network.encode(target))
        filters, outputs = self._speak(latents, voice)
        first = int(self.rng.integers(options.crop_frames - options.discriminator_frames + 1)) * hop
        heard = (slice(options.discriminator_crops), slice(first, first + options.discriminator_frames * hop))
        # The critics hear every excerpt at the same loudness; quiet speech would hardly teach them anything.
        scale = target[heard].square().mean(1, keepdim=True).sqrt().clamp(min=QUIETEST_EXCERPT)
        real, made = (target[heard] / scale)[:, None], (outputs[heard] / scale)[:, None]
        critics_loss, real_maps = self._critics_step(real, made)

        made_scores, made_maps = self.critics(made)
        # The activations for recordings are those from before the critics' step: one pass fewer, and close enough.
        losses = {
            "spectral": self._spectral_loss(outputs, target, metrics),
            "features": feature_loss(real_maps, made_maps),
        }
        self.num_critics_steps += 1
        # Fooled from the first step on, critics that know nothing yet never learn anything.
        if self.num_critics_steps > options.critics_head_start:
            losses["fooling"] = generator_loss(made_scores)
        metrics |= {"critics": critics_loss} | {name: loss.item() for name, loss in losses.items()}
        gradient = self.balancer.gradient(losses, outputs)
        torch.autograd.backward(outputs, gradient, retain_graph=True)
        self._descend(self._other_losses(filters, latents, voice, presence, metrics))

    def step(self, progress: float) -> Metrics:
        """One step of the stage that `progress` (0 to 1) falls in; returns its losses by name."""
        stage = stage_at(progress, self.options)
        metrics: Metrics = {"learning_rate": self._set_rate(progress)}
        if not self.has_codes:
            self._fit_codes()
        if stage in (TrainingStage.DECODER, TrainingStage.ADVERSARIAL) and not self.has_filters:
            self._begin_filters()
        steps = {
            TrainingStage.READING: self._reading_step,
            TrainingStage.DECODER: self._decoder_step,
            TrainingStage.ADVERSARIAL: self._adversarial_step,
        }
        steps[stage](metrics)
        self.num_steps += 1
        self._update_average()
        return metrics

    @torch.no_grad()
    def _update_average(self) -> None:
        # Young averages forget faster, else they would keep the random start.
        decay = min(self.options.average_decay, (1 + self.num_steps) / (10 + self.num_steps))
        for name, value in self.network.decoder.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    @torch.no_grad()
    def reconstruct(self, waveforms: Tensor) -> Tensor:
        """Waveforms [B, T * hop] through codes and the decoder as far as it is trained."""
        latents, quantizer = self.network.encode(waveforms), self.network.quantizer
        return self.network.decode(quantizer.decode(quantizer.encode(latents.flatten(0, 1))).view_as(latents))

    def state(self) -> dict[str, Any]:
        """Everything that a later `restore` needs to go on exactly here."""
        return {
            "network": self.network.state_dict(),
            "reader": self.reader.state_dict(),
            "decoder_average": self.average,
            "critics": self.critics.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critics_optimizer": self.critics_optimizer.state_dict(),
            "gradient_norms": dict(self.balancer.norms),
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "num_steps": self.num_steps,
            "num_critics_steps": self.num_critics_steps,
            "has_codes": self.has_codes,
            "has_filters": self.has_filters,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.network.load_state_dict(state["network"])
        self.reader.load_state_dict(state["reader"])
        self.average = state["decoder_average"]
        self.critics.load_state_dict(state["critics"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critics_optimizer.load_state_dict(state["critics_optimizer"])
        self.balancer.norms = dict(state["gradient_norms"])
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.num_steps = state["num_steps"]
        self.num_critics_steps = state["num_critics_steps"]
        self.has_codes = state["has_codes"]
        self.has_filters = state["has_filters"]


def _first_network(options: CodecTrainingOptions) -> MiniNetwork:
    network = MiniNetwork(options.config)
    if options.start_from is not None:
        begun = read_network(options.start_from)
        if begun.config != options.config:
            raise TrainingError(f"{options.start_from} holds a codec of another shape; give its own configuration.")
        network.load_state_dict(begun.state_dict())
    return network
