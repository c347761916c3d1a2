"""How a user's own dataset is read: its description, its people, one file a format."""
