"""In which order cells run: jobs, and what an executor and an observer are. Needs no torch."""
