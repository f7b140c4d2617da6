"""Workbench: the terminal forensic and policy workbench for data centres with DPUs."""

__version__ = "0.1.0"
