"""Radiance fields on explicit grids: teachers that learn from photographs within minutes."""
