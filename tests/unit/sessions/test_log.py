"""One session's log against a Redis that is a few lines of Python: any order of answers, outages and losses."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sessions import scripts
from sessions.config import Config
from sessions.lease import Lease
from sessions.log import SessionLog, Write
from sessions.model import SessionRecord
from voicegate.kernel.errors import LeaseLost
from voicegate.kernel.events import Event, SpeechStarted
from voicegate.kernel.ids import SessionId

NOW = datetime(2025, 3, 1, tzinfo=UTC)
CALL = SessionId("s")


class Owner:
    """The journal's side, without a journal."""

    def __init__(self, room_bytes: int = 1_000_000) -> None:
        self.away = False
        self.used = 0
        self.drops = 0
        self.room_bytes = room_bytes

    def changed(self, log: SessionLog) -> None:
        pass

    def hurry(self) -> None:
        pass

    def grew(self, size_bytes: int) -> bool:
        self.used += size_bytes
        return self.used <= self.room_bytes

    def dropped(self) -> None:
        self.drops += 1


class Stream:
    """What the scripts do to a session's stream."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.known = True

    @property
    def last(self) -> int:
        return self.seqs[-1] if self.seqs else 0

    def hurt(self, how: str) -> None:
        kept = len(self.seqs) * 2 // 3 if how == "lose tail" else 0
        del self.seqs[kept:]
        self.known = self.known and how != "forget"

    def run(self, write: Write) -> object:
        if write.call.script is scripts.RESTORE:
            self.known = True
            return [1, str(self.last).encode()]
        if write.call.script is scripts.RELEASE:
            return 1
        if not self.known:
            return [scripts.FORGOTTEN, b"0"]
        expected, count = int(write.call.args[3]), int(write.call.args[6])
        if self.last < expected:
            return [scripts.BEHIND, str(self.last).encode()]
        self.seqs += [seq for seq in map(int, write.call.args[7 : 7 + 2 * count : 2]) if seq > self.last]
        return [1, str(self.last).encode()]


def open_log(owner: Owner, config: Config | None = None, lost: list[LeaseLost] | None = None) -> SessionLog:
    record = SessionRecord(CALL, "a", "live", NOW, NOW)
    on_lost = None if lost is None else lost.append
    return SessionLog(owner, config or Config(), record, Lease(CALL, "me", 1, 0), (), (), on_lost)


def event(seq: int) -> Event:
    return SpeechStarted(session_id=CALL, seq=seq, at=NOW, audio_ms=seq)


def settle(log: SessionLog, stream: Stream) -> None:
    for _ in range(100):
        if log.idle:
            return
        write = log.write(7)
        log.acknowledge(write, stream.run(write), 0.0)
    raise AssertionError("the log never comes to rest")


steps = st.lists(
    st.sampled_from(["emit", "emit", "emit", "write", "unanswered", "away", "back", "lose tail", "forget"]), max_size=60
)


@given(steps, st.integers(1, 9))
def test_listeners_get_each_event_once_in_order_and_redis_gets_all(history: list[str], limit: int) -> None:
    owner, stream = Owner(), Stream()
    log = open_log(owner)
    got: list[int] = []
    early: list[int] = []

    def listen(happened: Event) -> None:
        got.append(happened.seq)
        if not owner.away and happened.seq > stream.last:
            early.append(happened.seq)

    log.subscribe(listen)
    emitted = 0
    for step in history:
        match step:
            case "emit":
                emitted += 1
                log.emit(event(emitted))
            case "write":
                if not owner.away:
                    write = log.write(limit)
                    log.acknowledge(write, stream.run(write), 0.0)
            case "unanswered":  # Carried out, but the answer is lost.
                write = log.write(limit)
                stream.run(write)
                log.failed(write)
            case "away":
                owner.away = True
                log.away()
            case "back":
                owner.away = False
            case _:
                stream.hurt(step)
        if owner.away:
            assert got == list(range(1, emitted + 1))
    owner.away = False
    emitted += 1
    log.emit(event(emitted))
    settle(log, stream)
    assert got == stream.seqs == list(range(1, emitted + 1))
    assert early == []
    assert log.unstored() == []
    assert owner.used == 0


@given(steps, st.integers(1, 5))
def test_a_full_buffer_never_blocks_order_or_memory(history: list[str], room: int) -> None:
    owner, stream = Owner(), Stream()
    log = open_log(owner, Config(session_buffer_events=room))
    got: list[int] = []
    log.subscribe(lambda happened: got.append(happened.seq))
    emitted, pending = 0, None
    for step in history:
        if step == "emit":
            emitted += 1
            log.emit(event(emitted))
        elif step == "write":  # The answer comes only after more has been emitted.
            if pending is not None:
                log.acknowledge(pending, stream.run(pending), 0.0)
            pending = log.write(3)
    if pending is not None:
        log.acknowledge(pending, stream.run(pending), 0.0)
    settle(log, stream)
    assert got == list(range(1, emitted + 1))
    assert stream.seqs == sorted(set(stream.seqs))
    assert len(stream.seqs) + owner.drops >= emitted
    assert owner.used == 0


def test_a_listener_may_emit() -> None:
    for away in (False, True):
        owner, stream = Owner(), Stream()
        log = open_log(owner)
        owner.away = away
        got: list[int] = []

        def answer(happened: Event, log: SessionLog = log, got: list[int] = got) -> None:
            got.append(happened.seq)
            if happened.seq < 5:
                log.emit(event(happened.seq + 1))

        log.subscribe(answer)
        log.emit(event(1))
        owner.away = False
        settle(log, stream)
        assert got == stream.seqs == [1, 2, 3, 4, 5]


async def test_nobody_waits_for_a_lost_session() -> None:
    lost: list[LeaseLost] = []
    owner = Owner()
    log = open_log(owner, lost=lost)
    got: list[Event] = []
    log.subscribe(got.append)
    log.emit(event(1))
    write = log.write(10)
    log.acknowledge(write, [scripts.LOST, b"0"], 0.0)
    log.lose()
    log.emit(event(2))
    await log.stored()
    assert (len(lost), got, log.idle, owner.used) == (1, [], True, 0)
    assert log.released.is_set(), "nor for a lease that another process has: it may have come while this one ends"


def test_a_closed_log_takes_no_more_and_releases_its_lease() -> None:
    stream = Stream()
    log = open_log(Owner())
    log.emit(event(1))
    log.close()
    log.emit(event(2))
    settle(log, stream)
    assert log.released.is_set()
    assert stream.seqs == [1]


def test_an_event_that_is_none_is_refused_without_raising() -> None:
    owner, stream = Owner(), Stream()
    log = open_log(owner)
    log.emit(object())  # type: ignore[arg-type]
    log.emit(event(1))
    settle(log, stream)
    assert (owner.drops, stream.seqs) == (1, [1])
