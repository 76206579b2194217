"""Probes: measurements that need the checkpoint itself and not its samples alone.

A probe is an extractor whose layers read fields of the requests, such as their latents; `bind`
hands it the checkpoint before the pass. Its rows go to the ledger like any other layer.
"""
