"""The nine views of a case, one a module; `base.CaseView` is what they have in common."""
