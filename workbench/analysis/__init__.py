"""What the flows of a case say: summaries, groups, hosts, who talks to whom. One question a module.

Each takes whoever can be asked (`store.reader.Asks`) and which flows (`store.pages.Where`), and returns Arrow tables or
frozen dataclasses. Nothing here keeps state.
"""
