"""What a run is: the events that tell of it, and the fold that makes it of them."""
