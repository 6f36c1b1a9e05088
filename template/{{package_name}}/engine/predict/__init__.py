"""What the command ``predict`` reads and writes, whatever the task."""
