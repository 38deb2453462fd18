"""One file for each thing observed; each in the same order: why, versions, wrappers, install."""
