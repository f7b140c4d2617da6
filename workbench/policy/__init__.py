"""Policy: who may talk to whom.

The model and its loader, one plain evaluator that says what a policy means, and what follows for all packets at once.
Nothing here reads files or asks the case: texts, and who held which address when, are given.
"""
