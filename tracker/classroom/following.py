"""One swarm over time: its seats, those that have gone for a while yet, its deployment and its events."""

from collections import deque
from collections.abc import Container, Iterator, Sequence

from tracker.allowlist import Published
from tracker.classroom.course import Course
from tracker.classroom.curve import Curve
from tracker.classroom.deploying import Deploying
from tracker.classroom.record import DeploymentRecord
from tracker.classroom.report import Report
from tracker.classroom.snapshot import Event, EventKind, Seat, SeatState, SwarmPicture, by_seat
from tracker.classroom.stragglers import median_rate, trouble_of
from tracker.networks import Networks, address_text
from tracker.swarm.peer import Peer, PeerStatus, Tally

MOST = 1000  # seats of one image that are followed; more are no rooms that somebody watches over
LINGER = 600.0  # seconds for which a seat that has gone is still shown
_EVENTS = 60
_MOST_REPORTS = 10_000  # between two looks; no site has so many seats
# A seat whose silence has lasted for this part of what makes it lost is not merely slow.
_LATE = 0.5


class Following:
    """What was seen of one torrent's swarm. `now` is in seconds of the tracker's clock, zero at `epoch`."""

    def __init__(
        self,
        published: Published,
        networks: Networks,
        interrupted: tuple[DeploymentRecord, float] | None = None,
    ) -> None:
        """`interrupted`: a deployment that ran when a tracker ended, and until which moment it may go on."""
        self.published = published
        self.under_way = 0
        self._networks = networks
        self._listed = networks.listed
        self._interrupted = interrupted
        self._courses: dict[bytes, Course] = {}
        self._newest: dict[str, Course] = {}  # by address: the client that a PC runs now
        self._reports: dict[bytes, tuple[Report, float]] = {}
        self._finished: dict[bytes, float] = {}
        self._repository: dict[bytes, Peer] = {}
        self._sent = 0
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self.deploying: Deploying | None = None

    @property
    def size(self) -> int:
        return self.published.torrent.size

    def hear(self, endpoint: bytes, report: Report, now: float) -> None:
        """Take in what a seat tells of itself; it counts from the next look on."""
        if len(self._reports) < _MOST_REPORTS or endpoint in self._reports:
            self._reports[endpoint] = (report, now)

    def finish(self, endpoint: bytes, now: float) -> None:
        """Take in that a client told of its last byte: it may have left by the next look."""
        if endpoint in self._courses:
            self._finished[endpoint] = now

    def end(self) -> None:
        """The torrent is no longer published: nobody is to fill any more."""
        if self.deploying is not None:
            self.deploying.end()

    def follow(self, peers: Sequence[Peer], interval: int, now: float, epoch: float) -> Iterator[None]:
        """Take in how the swarm stands; yields between seats, for there may be thousands."""
        yield from self._take_places()
        yield from self._take_in(peers)
        self._read_reports(peers)
        present = {peer.endpoint for peer in peers}
        self._read_finished(present)
        self.under_way = 0
        for seat in list(self._courses.values()):
            if seat.endpoint not in present:
                seat.absent(now)
            before = seat.settle(interval, self.size, now)
            if seat.state.is_under_way:
                self.under_way += 1
                self._deployment(now, epoch).join(seat, epoch)
            elif not seat.present and self._newest[seat.address] is not seat:
                # A client that was started anew may have another port; the PC is still one seat.
                self._drop(seat)
                continue
            elif seat.state is SeatState.FAILED and self.deploying and self.deploying.ended is None:
                self.deploying.join(seat, epoch)  # though it gave up before it was seen to fill
            self._tell(before, seat, now + epoch)
            yield
        yield from self._judge(now, epoch)
        self._forget(now)
        if self.deploying is not None and self.deploying.ended is None:
            took = self.deploying.go_on(self._sent, now)
            if took is not None:
                at = self.deploying.began + took + epoch
                self._events.append(Event(at, EventKind.ENDED, figure=took))

    def lose_sight(self) -> None:
        """There are more seats than are followed."""
        self.end()
        self.under_way = 0
        for known in (self._courses, self._newest, self._reports, self._finished, self._repository):
            known.clear()

    def at_a_glance(self, peers: Sequence[Peer], now: float, epoch: float) -> Iterator[Seat]:
        """Seats by their last announces alone, without following them."""
        self._repository = {peer.endpoint: peer for peer in peers if peer.beside_tracker}
        for peer in peers:
            if not peer.beside_tracker:
                yield self._as_announced(peer, now, epoch)

    def seats(self, now: float, epoch: float) -> Iterator[Seat]:
        """Its seats as they are shown."""
        for course in self._courses.values():
            yield _seat(course, self.size, now, epoch)

    def picture(self, seats: list[Seat], tally: Tally, now: float, epoch: float) -> SwarmPicture:
        """The swarm with these seats, in the order in which people count them."""
        deploying = self.deploying
        repository = [self._as_announced(peer, now, epoch) for peer in self._repository.values()]
        return SwarmPicture(
            name=self.published.name,
            info_hash=self.published.swarm_id,
            size=self.size,
            piece_length=self.published.torrent.piece_length,
            downloaded=tally.downloaded,
            repository=tuple(sorted(repository, key=by_seat)),
            seats=tuple(sorted(seats, key=by_seat)),
            deployment=deploying.shown(epoch) if deploying else None,
            filled=_moved(deploying.filled, epoch) if deploying else Curve(now + epoch),
            rates=_moved(deploying.rates, epoch) if deploying else Curve(now + epoch),
            events=tuple(self._events),
        )

    def _take_places(self) -> Iterator[None]:
        """Where the site's list of its PCs has changed, its seats may have other rooms and names."""
        if self._listed is not self._networks.listed:
            self._listed = self._networks.listed
            for seat in list(self._courses.values()):
                self._place(seat)
                yield

    def _place(self, seat: Course) -> None:
        address = seat.endpoint[:-2]
        seat.room, seat.listed_name = self._networks.room_name(address), self._networks.name_of(address)

    def _take_in(self, peers: Sequence[Peer]) -> Iterator[None]:
        beside = {}
        for peer in peers:
            if peer.beside_tracker:
                former = self._repository.get(peer.endpoint)
                if former is not None and former.identity == peer.identity:
                    self._sent += max(0, peer.uploaded - former.uploaded)
                beside[peer.endpoint] = peer
                continue
            self._course(peer.endpoint, peer.seen).announced(peer)
            yield
        self._repository = beside

    def _read_reports(self, peers: Sequence[Peer]) -> None:
        reports, self._reports = self._reports, {}
        if not reports:
            return
        # One with both addresses announces, and is shown, by that of IPv4.
        shown_as = {peer.endpoint6: peer.endpoint for peer in peers if peer.endpoint6 is not None}
        for endpoint, (report, at) in reports.items():
            endpoint = shown_as.get(endpoint, endpoint)
            if endpoint not in self._repository:
                self._course(endpoint, at).told(report, at, self.size)

    def _read_finished(self, present: Container[bytes]) -> None:
        finished, self._finished = self._finished, {}
        for endpoint, at in finished.items():
            if endpoint not in present and endpoint in self._courses:
                self._courses[endpoint].completed(at)

    def _course(self, endpoint: bytes, heard: float) -> Course:
        course = self._courses.get(endpoint)
        if course is None:
            course = self._new(endpoint, heard)
            self._courses[endpoint] = self._newest[course.address] = course
        return course

    def _new(self, endpoint: bytes, heard: float) -> Course:
        course = Course(endpoint, address_text(endpoint[:-2]), heard)
        self._place(course)
        return course

    def _deployment(self, now: float, epoch: float) -> Deploying:
        if self.deploying is None or self.deploying.ended is not None:
            entry = self.published
            self.deploying = Deploying(entry.name, self.size, entry.swarm_id, self._sent, now, epoch)
            former, self._interrupted = self._interrupted, None
            if former is not None and now + epoch <= former[1]:
                self.deploying.resume(former[0], epoch)
            self._events.append(Event(self.deploying.began + epoch, EventKind.BEGAN))
        return self.deploying

    def _tell(self, before: SeatState | None, seat: Course, at: float) -> None:
        kind, figure = None, 0.0
        if seat.state.is_under_way and not (before and before.is_under_way):
            kind = EventKind.ARRIVED
        elif seat.state is SeatState.DONE is not before and seat.took is not None:
            kind, figure = EventKind.FINISHED, seat.took
        elif seat.state is SeatState.LEFT is not before:
            kind, figure = EventKind.LEFT, seat.progress(self.size)
        if kind is not None:
            self._events.append(Event(at, kind, seat.shown, seat.address, figure))

    def _judge(self, now: float, epoch: float) -> Iterator[None]:
        rooms: dict[str, list[Course]] = {}
        for seat in self._courses.values():
            rooms.setdefault(seat.room, []).append(seat)
        for seats in rooms.values():
            usual = median_rate(seats, self.size)
            for seat in seats:
                trouble = trouble_of(seat, usual, now)
                if seat.call(trouble):
                    at = now + epoch
                    self._events.append(
                        Event(
                            at, EventKind.TROUBLE, seat.shown, seat.address, seat.progress(self.size), trouble
                        )
                    )
                yield

    def _forget(self, now: float) -> None:
        for seat in list(self._courses.values()):
            if seat.gone is None or seat.state.is_under_way:
                continue
            if now - max(seat.gone, seat.heard) > LINGER:
                del self._courses[seat.endpoint]
                if self._newest[seat.address] is seat:
                    del self._newest[seat.address]

    def _drop(self, seat: Course) -> None:
        del self._courses[seat.endpoint]
        if self.deploying is not None:
            self.deploying.part(seat)

    def _as_announced(self, peer: Peer, now: float, epoch: float) -> Seat:
        course = self._new(peer.endpoint, peer.seen)
        course.announced(peer)
        course.settle(peer.interval, self.size, now)
        return _seat(course, self.size, now, epoch)


def _moved(curve: Curve, epoch: float) -> Curve:
    """With moments instead of the clock's seconds."""
    return curve._replace(start=curve.start + epoch)


def _seat(course: Course, size: int, now: float, epoch: float) -> Seat:
    peer, report = course.peer, course.report
    rate = course.rate
    seen = peer.seen if peer else course.heard
    fills = course.state is SeatState.FILLING
    return Seat(
        address=course.address,
        port=int.from_bytes(course.endpoint[-2:]),
        name=course.name,
        room=course.room,
        state=course.state,
        status=peer.status if peer else PeerStatus.LEECHING,
        progress=course.progress(size),
        left=course.left or 0,
        uploaded=peer.uploaded if peer else 0,
        downloaded=peer.downloaded if peer else 0,
        upload_rate=peer.upload_rate if peer else 0.0,
        download_rate=peer.download_rate if peer else 0.0,
        seen_ago=max(0.0, now - seen),
        late=peer is not None and now - peer.seen > _LATE * (peer.valid_until - peer.seen),
        present=course.present,
        began=course.began + epoch,
        took=course.took,
        time_left=(course.left or 0) / rate if fills and rate else None,
        rate=rate if fills else 0.0,
        trouble=course.trouble,
        report=report,
        filled=_moved(course.filled, epoch),
        rates=_moved(course.rates, epoch),
    )
