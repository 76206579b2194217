"""The metrics, one file each, in folders that the report uses as its chapters."""
