"""``search serve``: the pages, and the HTTP API beside them, with tokens and roles."""
