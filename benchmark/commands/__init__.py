"""What each command does: texts are returned, files are written where that is asked for, nothing is printed."""
