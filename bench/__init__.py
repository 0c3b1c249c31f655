"""Benchmarks: each prints ratios against the thing compared, measured in one run."""
