"""Which entry keys cannot have come before, told without asking the database: a Bloom filter of a fixed size.

An import that begins with an empty ledger has every key pass by. Nearly all of them (transfers) never come again, and
to look each one up costs as much as to store it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_BITS = 1 << 27
"""16 MiB: of ten million keys four in a thousand are asked about in vain, of a hundred million nearly all."""
_PROBES = 4


class SeenKeys:
    """Keys of 16 bytes that are digests already: their bits are taken as they are."""

    def __init__(self) -> None:
        # Only the first import of a ledger gets here; numpy is a tenth of what a run has to load.
        import numpy

        self._bits: NDArray[numpy.uint8] = numpy.zeros(_BITS // 8, dtype=numpy.uint8)

    def add(self, keys: Sequence[bytes]) -> list[bytes]:
        """Take keys in, and return those among them that may have been there before."""
        import numpy

        if not keys:
            return []
        halves = numpy.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
        steps = numpy.arange(_PROBES, dtype=numpy.uint64)
        places = (halves[:, :1] + halves[:, 1:] * steps) % numpy.uint64(_BITS)
        cells, masks = places >> numpy.uint64(3), numpy.left_shift(1, (places & numpy.uint64(7)).astype(numpy.uint8))
        found = (self._bits[cells] & masks).all(axis=1)
        numpy.bitwise_or.at(self._bits, cells.ravel(), masks.ravel().astype(numpy.uint8))
        return [keys[place] for place in numpy.flatnonzero(found).tolist()]
