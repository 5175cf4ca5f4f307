"""What stands between a burst and a collapse: the host lets unlimited requests into the process."""
