"""Policies of other systems read into ours: one format a file, exact or refused.

Each format reads its objects (`objects`) into stages of entries for either direction (`stages`), with who is meant as
expressions (`who`); `stages` makes one policy of them, since a connection needs both directions while our rules judge it once.
"""
