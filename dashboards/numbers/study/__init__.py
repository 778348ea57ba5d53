"""What a study's figures and tables show, in numbers."""
