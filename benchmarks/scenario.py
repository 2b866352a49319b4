"""How lessons differ: who comes late, who is killed, what else the room or the seats have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

# Mbit/s of the port of a seat that is slow: a card that fell back to the slowest speed there is.
SLOW_PORT = 10.0


class Role(Enum):
    """What one seat does in a lesson."""

    ORDINARY = auto()
    """It starts with the others, stays, and is waited for."""
    LATE = auto()
    """It joins halfway, and is waited for; its time counts from its own start."""
    VICTIM = auto()
    """It is killed halfway, for good, and its image is not looked at."""
    SLOW = auto()
    """Its port has SLOW_PORT, and nobody waits for it."""


@dataclass(frozen=True)
class Scenario:
    """The difference from the plain lesson, in which all seats of one room fetch one image at once."""

    about: str = ""
    rooms: int = 1
    """Each of several rooms has its seats on a switch of its own, behind an uplink of one port's rate."""
    images: int = 1
    """How many every seat fetches at the same time."""
    warm: bool = False
    """The seats have another image of that size, fetched before the clock starts, and still seed it."""
    loss: float = 0.0
    """The part of all packets that every seat loses."""
    apart: tuple[Role, ...] = ()
    """The roles of the last seats; all others are ordinary."""

    def roles(self, clients: int) -> list[Role]:
        """Each seat's role, where every room has so many."""
        return [Role.ORDINARY] * (self.rooms * clients - len(self.apart)) + list(self.apart)


SCENARIOS = {
    "plain": Scenario(),
    "late": Scenario("one joins halfway", apart=(Role.LATE,)),
    "killed": Scenario("two are killed halfway", apart=(Role.VICTIM, Role.VICTIM)),
    "slow-port": Scenario(f"one port of {SLOW_PORT:g} Mbit/s", apart=(Role.SLOW,)),
    "lossy": Scenario("every seat loses 1 % of all packets", loss=0.01),
    "lossy-slow-port": Scenario(
        f"every seat loses 1 % of all packets, and one port has {SLOW_PORT:g} Mbit/s",
        loss=0.01,
        apart=(Role.SLOW,),
    ),
    "two-images": Scenario("two images at once", images=2),
    "two-rooms": Scenario("in each of two rooms behind uplinks of a port's rate", rooms=2),
    "warm": Scenario("already seeding another image", warm=True),
}
