"""From a matrix to cells and to the places of its table."""
