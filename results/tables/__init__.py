"""From entries to tables: scores of methods, costs, and networks alone."""
