"""Backends that turn rays into colours: one file or folder each, and the choice among them."""
