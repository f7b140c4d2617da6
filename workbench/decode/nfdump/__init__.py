"""Files of nfdump to flow records: no kernels, NumPy over whole blocks."""
