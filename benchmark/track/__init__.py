"""Records mirrored into MLflow."""
