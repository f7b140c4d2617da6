"""Application protocols, one a file: what was said, without reading it."""
