"""Benchmarks: a generator of realistic captures, and the runner behind ``make bench`` that compares the index with its peers."""
