"""Searches for settings: the same budget for every row, on held-out training people, from records alone."""
