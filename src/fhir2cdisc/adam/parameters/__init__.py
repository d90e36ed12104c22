"""One file a parameter: declarations only."""
