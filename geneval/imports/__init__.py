"""Logs of other harnesses become records of texts, with the scores they gave as columns."""
