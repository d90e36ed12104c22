"""Analysis results: statistics and the endpoint table."""
