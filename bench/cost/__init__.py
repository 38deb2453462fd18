"""What each tool costs the small host: environments, ways to run it, counters, report."""
