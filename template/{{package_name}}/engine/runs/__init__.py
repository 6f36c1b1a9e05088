"""A run's folder: its files, where it is made, how it is found again, what is recorded in it."""
