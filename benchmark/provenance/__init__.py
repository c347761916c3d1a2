"""Where numbers come from: the code that they reach, and the machine that they were made on."""
