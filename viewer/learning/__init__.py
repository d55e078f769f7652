"""Photographs to light fields, watched while they are learned."""
