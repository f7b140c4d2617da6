"""What managers of workloads list of them, to claims: who held which address. One format a file.

Readers take bytes piece by piece and give claims (`records.claims`) and what they could not use; none opens a file or a socket.
They read names, addresses and times; what else stands in these documents (environment, command lines, annotations, secrets) is
never looked at, so that it can't be kept.
"""
