"""ogtorrent with multicast first and the swarm to mend, at the rate of udpcast's own contender."""

from typing import ClassVar

from benchmarks.contenders.ogtorrent import Ogtorrent
from benchmarks.lesson import Lesson
from benchmarks.scenario import Role
from benchmarks.setting import Setting


class Mixed(Ogtorrent):
    name = "mixed"
    programs: ClassVar = {"curl": "curl", "udp-sender": "udpcast", "udp-receiver": "udpcast"}
    options: ClassVar = ("--protocol", "multicast")

    def why_not(self, setting: Setting) -> str | None:
        if setting.rate is None:
            return "multicast has one pace, and an unshaped room has none"
        return super().why_not(setting)

    def publish(self, lesson: Lesson) -> None:
        super().publish(lesson)
        at_once = sum(role is not Role.LATE for role in lesson.setting.roles)
        speed = round(0.9 * (lesson.setting.slowest or 0))
        for image in lesson.images:
            kept = image.path.with_name(f"{image.name}.mcast")
            port, method, address, *_ = kept.read_text().split(":")
            kept.write_text(f"{port}:{method}:{address}:{speed}M:{at_once}:60\n")
