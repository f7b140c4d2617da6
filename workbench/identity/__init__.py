"""Who held which address when: claims of many origins become intervals that do not overlap, and times are looked up in them.

Pure: arrays in, arrays out. Nothing here opens a case, and nothing costs more than sorting what it is given.
"""
