"""What gentrace costs, measured; each module is a program, and README.md says what it prints."""
