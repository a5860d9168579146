"""Engines that step a model: plain torch and DeepSpeed, their optimizers and process groups."""
