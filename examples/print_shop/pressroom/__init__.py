"""Takes documents in, has them printed, and says what became of each order."""
