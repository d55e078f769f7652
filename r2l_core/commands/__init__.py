"""The commands of `python -m r2l_core`, one file each: their flags and what they do."""
