"""One step of each stage of the codec training, and the state that resumes a run exactly."""

import math
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from valle.codec.mini.decoder import Filters
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.pitch import pitch_losses
from valle.codec.mini.source import Pitch
from valle.codec.mini.weights_file import read_network
from valle.codec_training.asr_loss import asr_feature_loss, open_asr_encoder
from valle.codec_training.balance import GradientBalancer
from valle.codec_training.band_predictor import BandPredictor, band_loss
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
    """Stages of a training: predict band energies, decode waveforms, decode against a discriminator.

    The codes are fixed before the first step.
    """

    PRETRAIN = "pretrain"
    DECODER = "decoder"
    ADVERSARIAL = "adversarial"


def stage_at(progress: float, options: CodecTrainingOptions) -> TrainingStage:
    """Return the stage at `progress` (0 to 1) of the schedule; a run that starts from weights skips pretraining."""
    if progress >= options.adversarial_from:
        return TrainingStage.ADVERSARIAL
    is_pretraining = progress < options.decoder_from and options.start_from is None
    return TrainingStage.PRETRAIN if is_pretraining else TrainingStage.DECODER


def rate_progress(progress: float, options: CodecTrainingOptions) -> float:
    """Return the progress (0 to 1) of the cosine schedule, which restarts after pretraining."""
    if options.start_from is not None or not 0 < options.decoder_from < 1:
        return progress
    if progress < options.decoder_from:
        return progress / options.decoder_from
    return (progress - options.decoder_from) / (1 - options.decoder_from)


class Trainer:
    """Network, discriminator, optimizers and random states of a run."""

    def __init__(self, options: CodecTrainingOptions, pool: SpeechPool) -> None:
        self.options = options
        self.pool = pool
        torch.manual_seed(options.seed)
        self.network = _first_network(options)
        self.predictor = BandPredictor(options.config)
        self.average = {name: value.clone() for name, value in self.network.decoder.state_dict().items()}
        self.discriminator = build_discriminator(options.discriminator_filters)
        self.features = SpectralFeatures(options.config.sample_rate)
        self.asr_encoder = (
            open_asr_encoder(options.asr_encoder, options.config.sample_rate) if options.asr_encoder else None
        )
        self.optimizer = self._optimizer(nn.ModuleList([self.network, self.predictor]))
        self.discriminator_optimizer = self._optimizer(self.discriminator)
        self.balancer = GradientBalancer(
            {
                "spectral": options.spectral_weight,
                "features": options.feature_weight,
                "adversarial": options.adversarial_weight,
            }
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)
        self.num_steps = 0
        self.num_discriminator_steps = 0
        self.has_codes = self.has_filters = options.start_from is not None

    def _optimizer(self, module: nn.Module) -> torch.optim.AdamW:
        """Build AdamW with a reduced learning rate (x 0.02) for the reconstruction filter.

        A weight of that filter acts beside a thousand others, so a full step would be too large. Frozen parameters
        are skipped."""
        groups: dict[float, list[nn.Parameter]] = {_FILTER_RATE: [], 1.0: []}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups[_FILTER_RATE if ".inverse." in name else 1.0].append(parameter)
        parameters = [{"params": group, "factor": factor} for factor, group in groups.items() if group]
        return torch.optim.AdamW(parameters, lr=self.options.learning_rate, betas=(0.8, 0.99))

    def _batch(self) -> tuple[Tensor, Pitch, Tensor]:
        """Draw a batch: (waveforms [B, N], their pitch, presence [B, T])."""
        options = self.options
        crops = self.pool.crops(options.batch_size, options.crop_frames, rng=self.rng, speeds=options.speeds)
        gains = self.rng.uniform(options.min_gain, 1.0, (options.batch_size, 1)).astype(np.float32)
        pitch = Pitch(torch.from_numpy(crops.pitch), torch.from_numpy(crops.voicing))
        return torch.from_numpy(crops.samples * gains), pitch, torch.from_numpy(crops.presence)

    def _set_rate(self, progress: float) -> float:
        warmup = min(1.0, (self.num_steps + 1) / self.options.warmup_steps)
        part = rate_progress(min(progress, 1.0), self.options)
        rate = self.options.learning_rate * warmup * max(0.01, 0.5 * (1 + math.cos(math.pi * part)))
        for optimizer, factor in (
            (self.optimizer, 1.0),
            (self.discriminator_optimizer, self.options.discriminator_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor * group["factor"]
        return rate

    def _num_codebooks(self) -> Tensor:
        """Draw how many codebooks each crop uses, repeated per frame [B * T]: all for seven of ten, else 1, 2 or 4."""
        num_codebooks = self.options.config.num_codebooks
        choices = torch.tensor([num_codebooks] * 7 + [min(n, num_codebooks) for n in (1, 2, 4)])
        drawn = torch.randint(len(choices), (self.options.batch_size,), generator=self.generator)
        return choices[drawn].repeat_interleave(self.options.crop_frames)

    def _synthesize(self, latents: Tensor, pitch: Pitch) -> tuple[Filters, Tensor]:
        """Return (filters, waveforms [2 B, N]) of latents [B, T, D]: each twice, with two draws of noise and phase.

        Codes do not determine the phase of the pulses. With equal phases in both outputs the decoder would explain the
        mismatch by noise, and voiced speech would become whispered. The pitch is the tracked one: with a predicted
        pitch the output would drift from the harmonics of its target.
        """
        decoder = self.network.decoder
        with self._backbone_precision():
            filters = decoder(latents)
        filters = filters.float()
        shape = (len(latents), latents.shape[1] * self.options.config.hop_length)
        energies = self.network.target_band_energies(latents, filters)
        outputs = []
        for _ in range(2):
            start = torch.rand(len(latents), 1, generator=self.generator, dtype=torch.float64)
            noise = torch.randn(shape, generator=self.generator)
            voiced = decoder.voiced(filters, decoder.pulses(pitch, start))
            outputs.append(self.network.correction(decoder.add_noise(voiced, filters, noise), energies))
        return filters, torch.cat(outputs)

    def _reconstruction_loss(self, outputs: Tensor, target: Tensor, metrics: Metrics) -> Tensor:
        """Return the distance of outputs [2 B, N] to recordings [B, N]: spectral loss and ASR feature loss."""
        loss = self._spectral_loss(outputs, target, metrics)
        if self.asr_encoder is None:
            return loss
        with torch.no_grad():
            target_activations = self.asr_encoder(target)
        # One of the two outputs is enough: they differ in noise and phase only.
        asr_loss = asr_feature_loss(target_activations, self.asr_encoder(outputs[: len(target)]))
        metrics["asr"] = asr_loss.item()
        return loss + self.options.asr_loss_weight * asr_loss

    def _spectral_loss(self, outputs: Tensor, target: Tensor, metrics: Metrics) -> Tensor:
        first, second = outputs.chunk(2)
        with torch.no_grad():
            target_features = self.features(target)
        features = self.features(first), self.features(second)
        loss = energy_distance(target_features, *features, repulsion=self.options.repulsion)
        metrics["spectral"] = loss.item()
        return loss

    def _pitch_loss(self, latents: Tensor, pitch: Pitch, presence: Tensor, metrics: Metrics) -> Tensor:
        """Return the losses of the pitch network."""
        pitch_loss, voicing_loss = pitch_losses(self.network.decoder.pitch(latents), pitch, presence)
        metrics |= {"pitch": pitch_loss.item(), "voicing": voicing_loss.item()}
        return self.options.pitch_weight * pitch_loss + self.options.voicing_weight * voicing_loss

    def _other_losses(
        self, filters: Filters, latents: Tensor, pitch: Pitch, presence: Tensor, metrics: Metrics
    ) -> Tensor:
        """Return the losses of the pitch network and the regularisation of phase and gains."""
        regularisation = filters.phase.square().mean()
        regularisation = regularisation + filters.pulse_gains.square().mean() + filters.noise_gains.square().mean()
        return self._pitch_loss(latents, pitch, presence, metrics) + self.options.regularisation_weight * regularisation

    def _pretrain_loss(
        self, latents: Tensor, energies: Tensor, pitch: Pitch, presence: Tensor, metrics: Metrics
    ) -> Tensor:
        """Return the losses of band energies [B, T, E] and pitch predicted from latents [B, T, D]."""
        with self._backbone_precision():
            predicted = self.predictor(self.network.decoder, latents)
        predicted = predicted.float()
        metrics["band_energies"] = (predicted.detach() - energies).abs().mean().item()
        loss = self.options.band_weight * band_loss(predicted, energies)
        return loss + self._pitch_loss(latents, pitch, presence, metrics)

    def _descend(self, loss: Tensor) -> None:
        """Take one optimizer step along the gradients of `loss` plus the accumulated ones."""
        torch.autograd.backward(loss)
        clip_grad_norm_([*self.network.parameters(), *self.predictor.parameters()], self.options.max_gradient_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _backbone_precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.options.half_backbones)

    def _features(self) -> tuple[Tensor, Pitch, Tensor]:
        """Draw a batch of features: (features [B, T, F], their pitch, presence [B, T])."""
        waveforms, pitch, presence = self._batch()
        with torch.no_grad():
            return self.network.features(waveforms), pitch, presence

    def _fit_codes(self) -> None:
        options = self.options
        features = torch.cat([self._features()[0] for _ in range(options.fitting_batches)])
        if features.shape[:2].numel() < options.config.codebook_size:
            raise TrainingError(
                f"{options.fitting_batches} batches of {options.batch_size} crops have {features.shape[:2].numel()} "
                f"frames, fewer than the {options.config.codebook_size} entries of a codebook: raise --fitting-batches."
            )
        fit_codes(self.network, self.predictor, features, num_rounds=options.k_means_rounds, generator=self.generator)
        self.has_codes = True

    @torch.no_grad()
    def _quantized(self, latents: Tensor) -> Tensor:
        """Return quantized latents [B, T, D], with a drawn number of codebooks for each crop."""
        quantizer = self.network.quantizer
        return quantizer.decode(quantizer.encode(latents.flatten(0, 1)), self._num_codebooks()).view_as(latents)

    def _pretrain_step(self, metrics: Metrics) -> None:
        features, pitch, presence = self._features()
        latents = self._quantized(self.network.transform(features))
        energies = features[..., : self.network.features.num_band_energies]
        self._descend(self._pretrain_loss(latents, energies, pitch, presence, metrics))

    def _initialise_filters(self) -> None:
        """Initialise the decoder's filters from the band predictor."""
        self.predictor.initialise_filters(self.network.decoder, self.network.features.log_mel)
        self.average = {name: value.clone() for name, value in self.network.decoder.state_dict().items()}
        self.has_filters = True

    def _decoder_step(self, metrics: Metrics) -> None:
        target, pitch, presence = self._batch()
        latents = self._quantized(self.network.encode(target))
        filters, outputs = self._synthesize(latents, pitch)
        loss = self._reconstruction_loss(outputs, target, metrics)
        self._descend(loss + self._other_losses(filters, latents, pitch, presence, metrics))

    def _discriminator_step(self, real: Tensor, made: Tensor) -> tuple[float, list[list[Tensor]]]:
        """Train the discriminator; return its loss and its activations on the recordings."""
        self.discriminator.requires_grad_(True)
        real_scores, real_maps = self.discriminator(real)
        made_scores, _ = self.discriminator(made.detach())
        loss = discriminator_loss(real_scores, made_scores)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        clip_grad_norm_(self.discriminator.parameters(), self.options.max_gradient_norm)
        self.discriminator_optimizer.step()
        self.discriminator.requires_grad_(False)
        return loss.item(), [[activation.detach() for activation in maps] for maps in real_maps]

    def _adversarial_step(self, metrics: Metrics) -> None:
        options, hop = self.options, self.options.config.hop_length
        target, pitch, presence = self._batch()
        latents = self._quantized(self.network.encode(target))
        filters, outputs = self._synthesize(latents, pitch)
        first = int(self.rng.integers(options.crop_frames - options.discriminator_frames + 1)) * hop
        excerpt = (slice(options.discriminator_crops), slice(first, first + options.discriminator_frames * hop))
        # Excerpts are normalised to equal loudness, so that quiet speech contributes to the gradient.
        scale = target[excerpt].square().mean(1, keepdim=True).sqrt().clamp(min=QUIETEST_EXCERPT)
        real, made = (target[excerpt] / scale)[:, None], (outputs[excerpt] / scale)[:, None]
        discriminator_loss_value, real_maps = self._discriminator_step(real, made)

        made_scores, made_maps = self.discriminator(made)
        # The activations on recordings are those before the discriminator's step: one pass fewer, nearly the same.
        losses = {
            "spectral": self._spectral_loss(outputs, target, metrics),
            "features": feature_loss(real_maps, made_maps),
        }
        self.num_discriminator_steps += 1
        # Without a head start an untrained discriminator is fooled from the first step and never learns.
        if self.num_discriminator_steps > options.discriminator_head_start:
            losses["adversarial"] = generator_loss(made_scores)
        metrics |= {"discriminator": discriminator_loss_value} | {name: loss.item() for name, loss in losses.items()}
        gradient = self.balancer.gradient(losses, outputs)
        torch.autograd.backward(outputs, gradient, retain_graph=True)
        self._descend(self._other_losses(filters, latents, pitch, presence, metrics))

    def step(self, progress: float) -> Metrics:
        """Take one step of the stage at `progress` (0 to 1) and return its losses by name."""
        stage = stage_at(progress, self.options)
        metrics: Metrics = {"learning_rate": self._set_rate(progress)}
        if not self.has_codes:
            self._fit_codes()
        if stage in (TrainingStage.DECODER, TrainingStage.ADVERSARIAL) and not self.has_filters:
            self._initialise_filters()
        steps = {
            TrainingStage.PRETRAIN: self._pretrain_step,
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
        """Return waveforms [B, T * hop] encoded and decoded by the current weights."""
        latents, quantizer = self.network.encode(waveforms), self.network.quantizer
        return self.network.decode(quantizer.decode(quantizer.encode(latents.flatten(0, 1))).view_as(latents))

    def state(self) -> dict[str, Any]:
        """Return everything that `restore` needs to resume exactly."""
        return {
            "network": self.network.state_dict(),
            "predictor": self.predictor.state_dict(),
            "decoder_average": self.average,
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "gradient_norms": dict(self.balancer.norms),
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "num_steps": self.num_steps,
            "num_discriminator_steps": self.num_discriminator_steps,
            "has_codes": self.has_codes,
            "has_filters": self.has_filters,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from the output of `state`."""
        self.network.load_state_dict(state["network"])
        self.predictor.load_state_dict(state["predictor"])
        self.average = state["decoder_average"]
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.balancer.norms = dict(state["gradient_norms"])
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.num_steps = state["num_steps"]
        self.num_discriminator_steps = state["num_discriminator_steps"]
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
