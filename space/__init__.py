"""Search spaces: the files under ``space/`` and their typed form."""
