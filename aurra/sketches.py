"""Sketches of vectors: a few bits a number, enough to find the few whose own vectors are then compared. Pure.

A number becomes the quantile of its dimension that it lies in, read back as that quantile's mean (Lloyd and Max). With
two bits the reckoned cosine correlates with the true one at 0.94 even where vectors are noise; and all vectors of a
tenant are looked at, so that nothing is lost in the paths of a graph.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

TWO_BITS_UP_TO = 512
"""Dimensions; longer vectors say the same thing more often, and one bit a number is enough."""
_CUTS = {1: (0.0,), 2: (-0.9816, 0.0, 0.9816)}
_LEVELS = {1: (-0.7979, 0.7979), 2: (-1.5104, -0.4528, 0.4528, 1.5104)}
# Lloyd and Max's quantiles of a normal distribution, and their means.


class Sketch(msgspec.Struct, frozen=True):
    """n vectors of d dimensions, as they are stored."""

    scale: bytes
    """2 × d floats: each dimension's mean and spread."""
    codes: bytes
    """Bytes × n: each byte holds 4 or 8 numbers, lowest bits first; d is filled up with numbers that weigh nothing."""


def sketch(vectors: NDArray[np.float32]) -> Sketch:
    """Of n × d vectors, n > 0."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0)
    spread[spread == 0] = 1.0
    bits = _bits(vectors.shape[1])
    normal = (vectors - mean) / spread
    numbers = sum((normal >= cut).astype(np.uint8) for cut in _CUTS[bits])
    a_byte = 8 // bits
    padded = np.pad(np.asarray(numbers, np.uint8), ((0, 0), (0, -vectors.shape[1] % a_byte)))
    codes = np.zeros((padded.shape[1] // a_byte, len(padded)), np.uint8)
    for place in range(a_byte):
        codes |= padded[:, place::a_byte].T << np.uint8(bits * place)
    return Sketch(np.concatenate([mean, spread]).astype("<f4").tobytes(), codes.tobytes())


def nearness(of: Sketch, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """About the dot product of each sketched vector with this one."""
    dimension = len(vector)
    mean, spread = np.frombuffer(of.scale, "<f4").reshape(2, dimension)
    bits = _bits(dimension)
    a_byte = 8 // bits
    weights = np.pad(vector * spread, (0, -dimension % a_byte)).reshape(-1, a_byte)
    worth = (weights @ _byte_levels(bits)).astype(np.float32)
    codes = np.frombuffer(of.codes, np.uint8).reshape(len(weights), -1)
    total = np.full(codes.shape[1], vector @ mean, np.float32)
    found = np.empty_like(total)
    for byte in range(len(codes)):
        np.take(worth[byte], codes[byte], out=found, mode="clip")
        total += found
    return total


def _bits(dimension: int) -> int:
    return 2 if dimension <= TWO_BITS_UP_TO else 1


def _byte_levels(bits: int) -> NDArray[np.float32]:
    """For each number in a byte, what each of the 256 bytes says of it."""
    levels = np.asarray(_LEVELS[bits], np.float32)
    every = np.arange(256)
    return np.stack([levels[every >> (bits * place) & (1 << bits) - 1] for place in range(8 // bits)])
