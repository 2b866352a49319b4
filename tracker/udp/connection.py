"""Connection ids (BEP 15): who has one has shown that it receives what is sent to its address.

Nothing is remembered for them. An id is a minute and a keyed hash of that and the address.
"""

import hmac
from hashlib import blake2b

# Seconds. An id is good for the minute it was made in and the two after: BEP 15 wants two minutes at least.
_SLOT = 60
_SLOTS_VALID = 3


class ConnectionIds:
    """Makes and checks ids with one secret. `now` is in seconds of a clock that never goes back."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(key=secret, digest_size=7)

    def make(self, address: bytes, now: float) -> bytes:
        return self._of(address, int(now // _SLOT))

    def is_valid(self, connection_id: bytes, address: bytes, now: float) -> bool:
        slot = int(now // _SLOT)
        age = (slot - connection_id[0]) & 0xFF
        return age < _SLOTS_VALID and hmac.compare_digest(connection_id, self._of(address, slot - age))

    def _of(self, address: bytes, slot: int) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(slot.to_bytes(8, "big", signed=True) + address)
        return bytes((slot & 0xFF,)) + hashed.digest()
