"""The smallest host with a queue; gentrace is told of it by profile.toml beside it."""
