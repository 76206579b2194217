"""`geneval doctor`: what this installation has, what is missing and how to get it."""

from __future__ import annotations

import typer


def command() -> None:
    """Show what is installed and what is missing.

    Versions, devices, weights, plug-ins and the cache, and what to do about what is missing.

    geneval doctor
    """
    from geneval.cli.console import columns
    from geneval.doctor import examine
    from geneval.errors import ExitCode

    findings = examine()
    rows = [("ok" if f.ok else "missing", f.what, f.found) for f in findings]
    print("\n".join(columns(rows)))
    for finding in findings:
        if not finding.ok:
            print(f"\n{finding.what}: {finding.remedy}")
    essential = any(not finding.ok and finding.essential for finding in findings)
    raise typer.Exit(ExitCode.ERROR if essential else ExitCode.PASSED)
