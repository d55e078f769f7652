"""Eight-bit weights in the kernel's order, such that no sum of 16 bits saturates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from r2l_core.engines.fused.library import Array, Level

_PAIRS = 0
"""The mode of a panel without windows: see `Mode` there."""
_LARGEST_SUM = 32767
_LARGEST_LEVEL = 127
_WINDOWS = (8, 4, 2, 1)
_BALANCED_WINDOW = 4


def panels(weight: Array, panel: int, group: int) -> Array:
    """(out, in) -> (out / panel, in / group, panel, group)."""
    n_out, n_in = weight.shape
    return weight.reshape(n_out // panel, panel, n_in // group, group).transpose(0, 2, 1, 3)


def packed_bytes(values: Array, level: Level, second: bool) -> tuple[Array, Array, Array]:
    """Integers (out, in) in panels, what sums start with, int32 (out,), and every panel's mode.

    second: whether inputs come from a ReLU, so that no level is negative.
    """
    n_panels = len(values) // level.panel
    none = np.zeros(len(values), np.int32)
    modes = np.full(n_panels, _PAIRS, np.uint8)
    wide = values.astype(np.int32)
    if level.dot4:
        start = none if second else -level.byte_offset * wide.sum(1, dtype=np.int32)
        return panels(values, level.dot_panel, 4), start, modes
    if second:
        parts = values.reshape(n_panels, level.panel, -1)
        modes = np.array([longest_window(part) for part in parts], np.uint8)
        return panels(values, level.panel, 4), none, modes
    # Winograd's pairs: inputs k, k+1 meet inputs k+2, k+3.
    fours = wide.reshape(len(wide), -1, 2, 2)
    start = -(fours[:, :, 0] * fours[:, :, 1]).sum((1, 2), dtype=np.int32)
    halves = fours.astype(np.int16).reshape(n_panels, level.panel, -1, 2, 2)
    return halves.transpose(0, 2, 3, 1, 4), start, modes


def longest_window(values: Array) -> int:
    """Most steps of four inputs whose products cannot overflow 16 bits, for outputs (n, in).

    Inputs are levels from 0 to 127. A lane adds inputs 0 and 1, or 2 and 3, of every step; its sum
    is largest where only positive, or only negative weights meet the largest level. Two products
    always fit, so that 1 is always right.
    """
    pairs = values.astype(np.int32).reshape(len(values), -1, 2, 2)
    for window in _WINDOWS:
        if pairs.shape[1] % window:
            continue
        lanes = pairs.reshape(len(values), -1, window, 2, 2)
        positive = np.maximum(lanes, 0).sum((2, 4))
        negative = np.maximum(-lanes, 0).sum((2, 4))
        if max(positive.max(), negative.max()) * _LARGEST_LEVEL <= _LARGEST_SUM:
            return window
    raise ValueError("weights are not within -127 and 127")


def balanced_order(values: Array) -> NDArray[np.intp]:
    """An order of inputs in which long windows fit: int (in,), for integers (out, in).

    The order of a block's hidden channels is free. Greedily, the heaviest first, each goes to the
    window in which the largest sums stay smallest (a power of six stands for the maximum).
    """
    n_in = values.shape[1]
    size = 2 * _BALANCED_WINDOW
    positive = np.maximum(values, 0).astype(np.float32)
    negative = np.maximum(-values.astype(np.int16), 0).astype(np.float32)
    sums = np.zeros((2, n_in // size, len(values)), np.float32)
    windows: list[list[int]] = [[] for _ in range(n_in // size)]
    open_windows = np.arange(len(windows))
    costs = np.zeros(len(windows), np.float64)
    for k in np.argsort(-(positive + negative).sum(0), kind="stable"):
        grown = np.maximum(
            sums[0, open_windows] + positive[:, k], sums[1, open_windows] + negative[:, k]
        )
        square = grown * grown
        new_costs = (square * square * square).sum(1, dtype=np.float64)
        best = int(np.argmin(new_costs - costs[open_windows]))
        window = int(open_windows[best])
        windows[window].append(int(k))
        sums[0, window] += positive[:, k]
        sums[1, window] += negative[:, k]
        costs[window] = new_costs[best]
        if len(windows[window]) == size:
            open_windows = np.delete(open_windows, best)
    # A step takes two inputs of each of a pair of windows: its two 16-bit lanes.
    pairs = np.array(windows).reshape(-1, 2, _BALANCED_WINDOW, 2)
    return pairs.transpose(0, 2, 1, 3).reshape(-1)
