"""Scripts that make the captures beside them: ``python -m sample_captures.make.esxi_lateral``."""
