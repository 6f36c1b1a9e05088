"""What a stopped run needs to continue as if it had not been stopped."""
