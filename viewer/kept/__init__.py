"""What lasts from one start to the next: sessions, habits and the files used last."""
