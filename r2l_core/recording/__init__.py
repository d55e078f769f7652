"""Offline recordings of a light field along a camera path.

plan       what every frame shows: cameras, panes, precisions, labels
compose    the pictures of the panes put together
labels     names and live numbers burned into a picture; title: the card before it
formats    endings of video files and how ffmpeg is asked for them
fragments  whole frames in a file that is being written, or was cut off
ffmpeg     the encoder as a process of its own; counting and joining without decoding
loading    sidecars that are read, also those of strangers
sidecar    x.json beside x.mp4: all that is needed to record it again, how far it got, who writes it
table      x.csv beside it: one row a frame
writer     the one thread that encodes and writes
recorder   renders frame after frame and hands them on
live       what is seen, written at the pace at which it is seen
session    opens what a recording needs: a new one, one made again, one to be completed
"""
