"""Copy jobs: what operators asked for, what the hosts say, and who did what."""
