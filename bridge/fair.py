"""How much one of several may hold of what they share: threads, places in a queue, memory.

Nobody is told a fixed part, which would lie idle while the others rest. Each may take more as long
as little of all is held, and less the more is: what it holds is never more than ``SHARE`` times
what it leaves free (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking
6(2), 1998). So whoever is alone gets most, and whoever comes next finds something.
"""

from __future__ import annotations

SHARE = 4
"""What one may hold, as a multiple of what is then left free: alone 4 of 5 parts, the next one
4 of 5 of the rest. By default there is room for five large uploads to Storj at the same time: with
4 a tenant alone sends four of them, with 3 only three, and with more nothing is left to others."""


def may_take(more: int, held: int, free: int) -> bool:
    """Whether one who holds ``held`` may take ``more`` of the ``free`` that are left.

    Who holds nothing takes whatever fits: what is larger than any share must stay possible.
    """
    left = free - more
    return left >= 0 and (held == 0 or held + more <= SHARE * left)
