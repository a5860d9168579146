"""From a text to the sentences that are synthesized."""
