"""udpcast, the multicast of OpenGnsys, at nine tenths of the rate and with forward error correction."""

from pathlib import Path
from typing import ClassVar

from benchmarks.arrivals import Fetch
from benchmarks.lesson import Contender, Image, Lesson
from benchmarks.port import UDP_HEADERS
from benchmarks.room import CARD, Host
from benchmarks.scenario import SCENARIOS
from benchmarks.setting import Setting

_PORT = 9000


class Udpcast(Contender):
    name = "udpcast"
    programs: ClassVar = {"udp-sender": "udpcast", "udp-receiver": "udpcast"}
    headers = UDP_HEADERS

    def why_not(self, setting: Setting) -> str | None:
        possible = ("plain", "two-rooms", "slow-port", "lossy", "lossy-slow-port")
        if setting.scenario not in map(SCENARIOS.get, possible):
            return "multicast is one image sent at one pace to seats that begin together and stay"
        return super().why_not(setting)

    def publish(self, lesson: Lesson) -> None:
        repository = lesson.room.repository
        rate = lesson.setting.slowest
        bitrate = [] if rate is None else ["--max-bitrate", f"{round(rate * 900)}k"]
        receivers = ["--min-receivers", str(len(lesson.room.seats)), "--nokbd", "--full-duplex"]
        argv: list[str | Path] = [
            "udp-sender",
            *_address(),
            "--file",
            lesson.images[0].path,
            *bitrate,
            "--fec",
            "8x8/128",
            *receivers,
        ]
        lesson.start(repository, argv)
        # The sender waits for its receivers on the second port.
        bound = f":{_PORT + 1:04X} "
        lesson.until(lambda: bound in repository.run(["cat", "/proc/net/udp"]).stdout, "udp-sender waits")

    def fetch(self, lesson: Lesson, seat: Host, image: Image) -> Fetch:
        place = lesson.place(seat) / image.name
        return Fetch(seat, lesson.start(seat, ["udp-receiver", *_address(), "--nokbd", "--file", place]))


def _address() -> list[str]:
    return ["--interface", CARD, "--portbase", str(_PORT)]
