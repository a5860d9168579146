"""Speech that is emitted while it is synthesized."""
