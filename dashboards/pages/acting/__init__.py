"""What people do from the pages: forms, what becomes of them, and who asked for what when."""
