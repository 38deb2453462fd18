"""What spans mean: runs, their times and how they ended. Pure functions over traces."""
