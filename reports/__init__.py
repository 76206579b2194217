"""Run directories and comparisons as HTML, Markdown and JUnit."""
