"""Open the models behind the stages: ASR, voice activity, quality and speaker encoders."""
