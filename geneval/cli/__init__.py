"""The command line: one file per command, each parsing, calling one function and printing."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `geneval` command."""
    from geneval.cli.entry import run_app

    run_app()
