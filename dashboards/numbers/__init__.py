"""The numbers behind every table, figure and verdict, read from the store; nothing here draws."""
