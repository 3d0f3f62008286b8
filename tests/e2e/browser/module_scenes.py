"""The console's modules by themselves, loaded by a page of another origin as a customer's would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from tests.e2e.browser.chromium import tab
from tests.e2e.browser.stage import Stage, scenes

RATES = ((48_000, 16_000), (44_100, 16_000), (16_000, 48_000), (16_000, 44_100), (96_000, 16_000))


class Run(Protocol):
    async def __call__(self, name: str, *arguments: Any) -> Any: ...


@asynccontextmanager
async def modules(stage: Stage) -> AsyncIterator[Run]:
    """``run(name, *arguments)`` calls a function of ``checks.js``."""
    async with tab(stage.browser, microphone=False) as opened:
        await opened.page.goto(f"{stage.pages}/here/blank.html?gateway={stage.gateway}")

        async def run(name: str, *arguments: Any) -> Any:
            call = "async ([name, given]) => (await import('/here/checks.js'))[name](...given)"
            return await opened.page.evaluate(call, [name, list(arguments)])

        yield run


@scenes.add
async def rates_are_converted(stage: Stage) -> None:
    """A tone comes out as the same tone, in time, whatever the rates and the blocks; what cannot pass is gone."""
    async with modules(stage) as run:
        for from_hz, to_hz in (
            (48_000, 16_000),
            (44_100, 16_000),
            (16_000, 48_000),
            (16_000, 44_100),
            (96_000, 16_000),
        ):
            for block in (128, 1000):
                found = await run("resampled", from_hz, to_hz, 1000, block)
                assert found["error"] < 0.002, (from_hz, to_hz, block, found)
                assert 0 <= to_hz - found["samples"] <= 0.002 * to_hz, found
        alias = await run("resampled", 48_000, 16_000, 11_000, 128)
        assert alias["level"] < 0.001, "11 kHz would come out as 5 kHz"
        same = await run("resampled", 16_000, 16_000, 1000, 128)
        assert same["error"] == 0


@scenes.add
async def jitter_is_taken_out(stage: Stage) -> None:
    async with modules(stage) as run:
        steady = [[at, 20] for at in range(0, 400, 20)]
        found = await run("buffered", steady, 800)
        ((begin, end),) = found["ranges"]
        assert 40 <= begin <= 64, "a reserve of 60 ms is waited for"
        assert 390 <= end - begin <= 402, "all of it is played, without a hole"
        assert found["gaps"] == 0

        late = [[at + (60 if at >= 200 else 0), 20] for at in range(0, 400, 20)]
        assert len((await run("buffered", late, 900))["ranges"]) <= 2, "60 ms late: the reserve covers most of it"

        stalled = [[at if at < 200 else 400, 20] for at in range(0, 400, 20)]
        found = await run("buffered", stalled, 1000)
        assert found["gaps"] == 1
        assert found["targetMs"] > 60, "after a gap the reserve grows"
        assert len(found["ranges"]) == 2, "one hole, and nothing is lost"
        assert sum(end - begin for begin, end in found["ranges"]) > 390

        tail = await run("buffered", [[0, 20]], 400)
        ((begin, end),) = tail["ranges"]
        assert begin <= 70, "a word shorter than the reserve is played all the same"

        cut = await run("buffered", [*steady, [200, "flush"]], 300)
        first_end = cut["ranges"][0][1]
        assert 196 <= first_end <= 208, "silent within milliseconds"

        crowd = [[0, 20] for _ in range(20)] + [[0, "quiet"] for _ in range(40)]
        found = await run("buffered", crowd, 800)
        assert found["bufferedMs"] == 0, "after a stall the silence between words is left out"
        assert (await run("buffered", [[0, 20] for _ in range(20)], 800))["ranges"][0][1] > 390, "words never are"


@scenes.add
async def texts_of_whip(stage: Stage) -> None:
    header = (
        '<stun:stun.example.net:3478>; rel="ice-server", '
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="17:a,b"; credential="p=\\"w;"; '
        'credential-type="password", <https://example.net/next>; rel="next"'
    )
    async with modules(stage) as run:
        assert await run("servers", header) == [
            {"urls": "stun:stun.example.net:3478"},
            {"urls": "turn:turn.example.net?transport=udp", "username": "17:a,b", "credential": 'p="w;'},
        ]
        assert await run("servers", "") == []
        assert await run("servers", ",,<>;;rel=ice-server, junk") == []
        local = "v=0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=mid:0\r\n"
        assert await run("fragment", local, ["candidate:1 1 udp 1 192.0.2.1 5 typ host"], True) == (
            "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
            "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\na=end-of-candidates\r\n"
        )
        here = f"{stage.gateway}"
        assert await run("addresses", None, "s1") == [f"ws://{here}/voice/s1", f"http://{here}/whip"]
        behind = await run("addresses", "https://example.com/calls?x#y", "s1")
        assert behind == ["wss://example.com/calls/voice/s1", "https://example.com/calls/whip"]
        assert (await run("addresses", "wss://example.com", "s1"))[1] == "https://example.com/whip"


@scenes.add
async def events_become_a_conversation(stage: Stage) -> None:
    """What was heard, what comes, what was cut; and who may speak."""
    events: list[tuple[dict[str, Any], str]] = [
        ({"type": "session.started", "agent": "Amelia"}, "quiet"),
        ({"type": "speech.started"}, "listening"),
        ({"type": "transcript.interim", "turn": 1, "text": "What are"}, "listening"),
        ({"type": "speech.stopped"}, "deciding"),
        ({"type": "turn.committed", "turn": 1, "text": "What are your hours?"}, "quiet"),
        ({"type": "reply.started", "turn": 1, "agent": "Amelia"}, "answering"),
        ({"type": "reply.text", "turn": 1, "text": "One moment,"}, "answering"),
        ({"type": "reply.text", "turn": 1, "text": "we open at nine."}, "answering"),
        ({"type": "reply.heard", "turn": 1, "text": "One moment, we"}, "answering"),
        ({"type": "speech.started"}, "over"),
        ({"type": "reply.interrupted", "turn": 1, "heard": "One moment, we", "cut": "open at nine."}, "listening"),
        ({"type": "speech.stopped"}, "deciding"),
        ({"type": "turn.committed", "turn": 2, "text": "12", "source": "dtmf"}, "quiet"),
        ({"type": "reply.started", "turn": 2, "kind": "filler"}, "answering"),
        ({"type": "reply.finished", "turn": 2, "text": "Let me see."}, "quiet"),
        ({"type": "reply.started", "turn": 2, "agent": "Amelia"}, "answering"),
        ({"type": "reply.text", "turn": 2, "text": "Of course."}, "answering"),
        ({"type": "handoff", "fromAgent": "Amelia", "toAgent": "Daniel"}, "answering"),
        ({"type": "a.type.of.tomorrow", "turn": 2}, "answering"),
        ({"type": "reply.heard", "turn": 9, "text": "of no reply"}, "answering"),
        ({"type": "session.ended", "reason": "client"}, "quiet"),
    ]
    async with modules(stage) as run:
        found = await run("read", [event for event, _ in events])
    assert found["states"] == [state for _, state in events]
    assert found["agent"] == "Daniel"
    shown = [(each["side"], each["said"], each["ahead"], each["cut"], each["note"]) for each in found["entries"]]
    assert shown == [
        ("caller", "What are your hours?", "", "", ""),
        ("agent", "One moment, we", "", "open at nine.", "you interrupted"),
        ("caller", "12", "", "", "keys"),
        ("agent", "Let me see.", "", "", "fills the wait"),
        ("agent", "", "Of course.", "", ""),
        ("event", "Amelia hands over to Daniel", "", "", ""),
    ]
