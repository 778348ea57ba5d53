"""What somebody writes whose network is to be trained, and what searches ask of it."""
