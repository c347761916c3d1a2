"""What tables say in words: captions, answers, and numbers as people read them."""
