"""Training: `options.TrainOptions` in, `loop.train` runs it, checkpoints and metrics out.

Nothing is imported here, so that a form can show the options without loading torch.
"""
