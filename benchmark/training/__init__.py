"""Training: the one loop, its random streams, its teachers, and what it leaves; it knows no method by name."""
