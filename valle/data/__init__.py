"""From a selection to batches: training sets, their codes, and what is drawn from them. Lhotse is known only here."""
