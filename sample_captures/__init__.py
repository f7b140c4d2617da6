"""Small captures made by this project from real programs, each with its ground truth."""
