"""The trainables that come with the project."""
