"""Changes to DPUs: planned from what is there, applied in one transaction, put back exactly."""
