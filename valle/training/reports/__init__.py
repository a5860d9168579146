"""What a training reports: metrics, spoken examples, experiment trackers and traces of the profiler."""
