"""The part that lives on a DPU: one file of the standard library, and how it gets there."""
