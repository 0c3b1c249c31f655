"""Tests of what the benches conclude."""
