"""Policy: who may talk to whom.

The model and its loader, one plain evaluator that says what a policy means, what follows for all packets at
once, and a policy's verdicts on recorded flows.
Nothing here reads files or asks the case: texts, and who held which address when, are given.
"""
