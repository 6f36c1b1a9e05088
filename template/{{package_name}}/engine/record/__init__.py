"""What a run writes about itself: its config, and a line per epoch."""
