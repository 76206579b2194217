"""Worked examples, written against the public interface as a user would."""
