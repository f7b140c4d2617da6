"""Exported flow records to bidirectional flows: halves paired, pieces merged."""
