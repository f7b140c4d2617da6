"""Policy: who may talk to whom. The model and its loader, and one plain evaluator that says what a policy means.

Nothing here reads files or asks the case: texts, and who held which address when, are given.
"""
