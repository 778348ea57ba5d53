"""Where runs are trained: Ray, its workers, and what each of them holds."""
