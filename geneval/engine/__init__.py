"""Execution: one pass over each sample set, shard by shard, and what metrics are fed from it."""
