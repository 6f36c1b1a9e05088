"""Image files: found, read and cached as they are."""
