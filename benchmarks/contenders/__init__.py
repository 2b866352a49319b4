"""The tools that are compared, one file each."""

from benchmarks.contenders.aria2 import Aria2
from benchmarks.contenders.ctorrent import Ctorrent
from benchmarks.contenders.http import Http
from benchmarks.contenders.mixed import Mixed
from benchmarks.contenders.ogtorrent import Ogtorrent
from benchmarks.contenders.transmission import Transmission
from benchmarks.contenders.udpcast import Udpcast
from benchmarks.lesson import Contender

CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in (Ogtorrent(), Http(), Ctorrent(), Aria2(), Transmission(), Udpcast(), Mixed())
}
