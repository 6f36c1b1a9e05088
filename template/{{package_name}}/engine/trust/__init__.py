"""What a config or a checkpoint may import, and which values are not shown."""
