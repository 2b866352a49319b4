"""udpcast, the multicast of OpenGnsys, at nine tenths of the rate and with forward error correction."""

from pathlib import Path
from typing import ClassVar

from benchmarks.lesson import IMAGE, Contender, Fetch, Lesson
from benchmarks.room import CARD, Host

_PORT = 9000


class Udpcast(Contender):
    name = "udpcast"
    programs: ClassVar = {"udp-sender": "udpcast", "udp-receiver": "udpcast"}

    def publish(self, lesson: Lesson) -> None:
        repository = lesson.room.repository
        bitrate = [] if lesson.rate is None else ["--max-bitrate", f"{round(lesson.rate * 900)}k"]
        receivers = ["--min-receivers", str(len(lesson.room.seats)), "--nokbd", "--full-duplex"]
        argv: list[str | Path] = [
            "udp-sender",
            *_address(),
            "--file",
            lesson.image,
            *bitrate,
            "--fec",
            "8x8/128",
            *receivers,
        ]
        lesson.start(repository, argv)
        # The sender waits for its receivers on the second port.
        bound = f":{_PORT + 1:04X} "
        lesson.until(lambda: bound in repository.run(["cat", "/proc/net/udp"]).stdout, "udp-sender waits")

    def fetch(self, lesson: Lesson, seat: Host) -> Fetch:
        image = lesson.place(seat) / IMAGE
        return Fetch(seat, lesson.start(seat, ["udp-receiver", *_address(), "--nokbd", "--file", image]))


def _address() -> list[str]:
    return ["--interface", CARD, "--portbase", str(_PORT)]
