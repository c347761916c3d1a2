"""What is to be run: names with settings, recipes, cells, pairs and matrices. Texts and numbers; nothing is trained."""
