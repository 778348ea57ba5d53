"""Opening a database, and riding out that it is away."""
