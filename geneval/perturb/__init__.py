"""Samples disturbed on purpose: deterministic by sample, parameters and nothing else."""
