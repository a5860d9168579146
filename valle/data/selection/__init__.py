"""Select a training set: conditions, splits, similar utterances and Lhotse cuts."""
