"""What a few seeds say: pure functions of arrays, without any store."""
