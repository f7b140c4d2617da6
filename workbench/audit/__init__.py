"""The hash-chained log of what people did."""
