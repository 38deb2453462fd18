"""What generations have in common: two of them side by side, and groups of them."""
