"""What networks cost: counted, timed, and guessed at for a time left."""
