"""Records as hashes, and who may resume."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sessions.keys import session_keys
from sessions.model import SessionRecord, Status, may_resume, record_fields, record_from, resume_key
from voicegate.kernel.ids import SessionId

moments = st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
statuses: st.SearchStrategy[Status] = st.sampled_from(["live", "ended"])
records = st.builds(
    SessionRecord,
    id=st.just(SessionId("s")),
    agent=texts,
    status=statuses,
    created_at=moments,
    updated_at=moments,
    transport=texts,
    owner=texts,
    ended_reason=texts,
    context=st.dictionaries(texts, texts, max_size=4),
    resume_key=texts,
)


@given(records)
def test_a_record_survives_its_hash(record: SessionRecord) -> None:
    fields = {name.encode(): value.encode() for name, value in record_fields(record).items()}
    assert record_from(record.id, fields) == record


def test_a_record_with_fields_missing_or_unknown_is_read() -> None:
    record = record_from(SessionId("s"), {b"status": b"ended", b"fence": b"7", b"seq": b"9"})
    assert (record.status, record.agent, dict(record.context)) == ("ended", "", {})


def test_only_the_secret_itself_resumes() -> None:
    now = datetime.now(UTC)
    record = SessionRecord(SessionId("s"), "a", "live", now, now, resume_key=resume_key("secret"))
    assert may_resume(record, "secret")
    assert not may_resume(record, "Secret")
    assert not may_resume(record, record.resume_key)
    assert not may_resume(record, "")
    open_record = SessionRecord(SessionId("s"), "a", "live", now, now, resume_key=resume_key(""))
    assert not may_resume(open_record, "")
    assert not may_resume(open_record, "anything")


def test_keys_of_a_session_share_its_name() -> None:
    assert session_keys("x") == (
        "voicegate:session:x",
        "voicegate:session:x:events",
        "voicegate:session:x:transcript",
        "voicegate:session:x:lease",
    )
