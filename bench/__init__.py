"""Benchmarks: the promises of SPECIFICATION.md, measured beside their peers."""
