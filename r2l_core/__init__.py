"""The neural light field and everything that renders it, without a window."""

__version__ = "0.1.0"
