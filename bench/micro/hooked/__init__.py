"""A host of one module with nothing to do, so that what a call of it costs is what hooks cost."""
