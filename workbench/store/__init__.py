"""The only floor that imports the engine."""
