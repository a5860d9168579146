"""Reports of a training: metrics, spoken examples, experiment trackers and traces of the profiler."""
