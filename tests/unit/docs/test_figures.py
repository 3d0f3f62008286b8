"""The table of figures: what it makes of every kind of result, and that README.md has it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import mixed_fates, overload, ramp
from benchmarks.bargein_report import Summary as BargeInSummary
from benchmarks.density import Stage
from benchmarks.latency import Summary as LatencySummary
from benchmarks.machine import Machine
from benchmarks.outage_records import Judged
from benchmarks.outages import Outage
from benchmarks.overhead import Load, Measured
from benchmarks.peers.__main__ import Measured as Peer
from benchmarks.results import write_results
from benchmarks.rolling import Outcome
from benchmarks.statistics import spread
from benchmarks.webrtc import Load as CallLoad
from benchmarks.webrtc_impaired import Delays, Recovery, Words
from benchmarks.wer import Total
from scripts.figures import BEGIN, END, README, RESULTS, main, read_results, table, with_figures


def machine(module: str, options: str = "") -> Machine:
    return Machine("Some CPU", 2, 7.8, 0.5, "3.11.2", "abcdef012345", f"python -m benchmarks.{module}{options}")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One file of each benchmark, as the benchmark writes it."""
    times = spread([400.0, 500.0, 600.0])
    latency = LatencySummary(24, 23, times, times, {"stt_ms": times, "tts_ms": None}, times, 4.2, 12.5, 0.0)
    options = " --calls 1 --json somewhere/else.json"
    write_results(tmp_path / "b.json", machine("latency", options), settings={"calls": 1}, summary=latency)
    bargein = BargeInSummary(20, 19, spread([100.0, 300.0]), 18, 15, 2, 6, 5, 3)
    write_results(tmp_path / "c.json", machine("bargein"), settings={}, summary=bargein)
    load = Load([Measured(500.0, 10.0, 20.0)], 1, times, 12.34, 0)
    summary = {"raw": times, "overhead": spread([20.0, 30.0])}
    write_results(tmp_path / "a.json", machine("overhead"), settings={"calls": 50}, summary=summary, load=load)
    totals = [Total("pcm16", 5.1, 149, 2, 0), Total("pcmu", None, 0, 0, 0)]
    write_results(tmp_path / "d.json", machine("wer"), settings={}, totals=totals)
    calls = [CallLoad("voicegate", 60, 9.87, 59.0, spread([20.0, 22.0]), 0.0, 14.0)]
    calls += [CallLoad("plain aiortc", 15, 40.0, 60.0, spread([20.0]), 0.0, 5.0)]
    write_results(tmp_path / "g.json", machine("webrtc"), settings={}, loads=calls, ratios={15: 0.254})
    delays = [Delays("5 % loss", 20.4, 39.6, 5.0, 5.01, 0)]
    recovery = [Recovery(0.3, True, 0.0, 0.0), Recovery(2.0, False, 50.0, 0.021)]
    heard = [Words("5 % loss", 2.1, 500, 70.0)]
    write_results(tmp_path / "h.json", machine("webrtc_impaired"), delays=delays, recovery=recovery, words=heard)
    both = {"webrtc": latency, "websocket": latency}
    write_results(tmp_path / "i.json", machine("webrtc_latency"), summaries=both, difference_ms=-12.4)
    write_results(tmp_path / "e.json", machine("something_new"), settings={})
    (tmp_path / "f.json").write_text(json.dumps([{"engine": "flite"}]))
    return tmp_path


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_every_benchmark_has_its_rows(results: Path) -> None:
    assert rows(table(read_results(results))) == [
        "| Voice to voice with the embedded engines, one call "
        "| median 500 ms, p90 580 ms, p95 590 ms; 23 of 24 utterances answered |",
        "| Its parts, one call | medians in ms: stt 500 |",
        "| Callers cut off in the middle of an utterance "
        "| 4.2 % (12.5 % of those with a pause in them, 0.0 % without) |",
        "| The agent falls silent after the caller begins to speak over it "
        "| median 200 ms, p95 290 ms; 19 of 20 taken |",
        "| Words that the gateway says were heard, against the audio that was received "
        "| exact in 15 of 18, at most 2 words off |",
        "| Short noises over a reply that did no harm | 5 of 6 |",
        "| What the gateway itself adds, 50 calls at once "
        "| median 25 ms, p90 29 ms, p99 30 ms; 1 utterances unanswered |",
        "| Processor time of the gateway, 50 calls at once | 12.3 ms a second and call |",
        "| Words misheard over a whole call, pcm16 | 5.1 % of 149 words; 0 turns out of 2 clips of noise |",
        "| Browser calls on one core, 60 at once "
        "| 9.9 ms of processor time a second and call; between two packets p95 22 ms |",
        "| Browser calls beside plain aiortc "
        "| 25 % of its processor time, 15 calls each, whole pipeline against an echo |",
        "| A browser's voice behind a network: 5 % loss "
        "| delay median 20 ms, p95 40 ms; 5.01 % missing; 2.1 % of words misheard |",
        "| After an outage of up to 2 s, the delay is what it was | within 21 ms |",
        "| Voice to voice by WebRTC, with the embedded engines "
        "| median 500 ms, by WebSocket 500 ms at the same time; the same utterance -12 ms |",
    ]


def test_machine_and_commands(results: Path) -> None:
    text = table(read_results(results))
    assert "Measured on Some CPU, 2 cores, 7.8 GiB, Python 3.11.2:" in text
    assert "* `python -m benchmarks.latency --calls 1` (load 0.5 before)" in text
    assert "somewhere" not in text
    assert "something_new" not in text


@pytest.mark.parametrize("benchmark", ["latency", "bargein", "overhead", "wer", "webrtc"])
def test_any_one_result_will_do(results: Path, benchmark: str) -> None:
    only = [each for each in read_results(results) if f"benchmarks.{benchmark}" in each["machine"]["command"].split()]
    assert len(only) == 1
    assert rows(table(only))


def test_a_run_that_measured_nothing_gives_no_row() -> None:
    empty: dict[str, Any] = {"settings": {"calls": 2}, "machine": {**vars_of(machine("overhead"))}}
    empty |= {"summary": {"overhead": None}, "load": {"unanswered": 2, "cpu_ms_per_call_second": None}}
    assert rows(table([empty])) == []


def test_density_says_what_a_call_costs_and_what_it_gets(tmp_path: Path) -> None:
    stage = Stage(100, 2.9, 0.29, spread([10.0, 20.0]), 20.0, 25.0, 50, 1, 0, ["closed"], 0.25, spread([1.0]))
    write_results(tmp_path / "density.json", machine("density"), settings={}, stages=[stage])
    cost, service = rows(table(read_results(tmp_path)))
    assert "100 at once" in cost
    assert "2.9 ms a second and call, 29% of the core; 0.25 MB a call" in cost
    assert "median 15 ms, p95 20 ms; 1 of 50 replies ran dry, gaps p95 20 ms, 1 calls failed" in service


def test_phones_peers_and_restarts_have_their_rows(tmp_path: Path) -> None:
    times = spread([100.0, 300.0])
    call = {"via": "twilio", "exchanges": 4, "answered": 3}
    write_results(tmp_path / "a.json", machine("phone"), totals=[call, call], mulaw_word_error_rate=7.5)
    stop = {"via": "plivo", "stop_ms": times, "within_one": 9, "compared": 10}
    write_results(
        tmp_path / "b.json",
        machine("phone_bargein"),
        summary=[stop, stop | {"via": "exotel", "stop_ms": spread([90.0])}],
    )
    ours = Peer("voicegate", 100, 2.5, 0.25, times, 0.0, 9, 0, 0, 0.3, [], None)
    other = Peer("pipecat", 10, 40.0, 0.4, None, 0.0, 9, 0, 0, 9.0, [], None)
    write_results(tmp_path / "c.json", machine("peers"), results=[ours, other])
    outcome = Outcome("ws", 10, 1, 4, 50, 50, 2, 0, 0, 0.3)
    write_results(tmp_path / "d.json", machine("rolling"), settings={"restarts": 10}, outcomes=[outcome, outcome])
    assert rows(table(read_results(tmp_path))) == [
        "| Phone calls by 2 simulated carriers "
        "| 6 of 8 answered; 7.5 % of the callers' words misheard where the line is μ-law |",
        "| The agent falls silent at the ear of 2 carriers' callers "
        "| median 90 ms (exotel) to 200 ms (plivo); what was heard is known to within one word in 18 of 20 |",
        "| The same phone calls on one core, voicegate, 100 at once "
        "| 2.5 ms of processor time a second and call; voice to voice median 200 ms, p95 290 ms; 0.3 MB a call |",
        "| The same phone calls on one core, pipecat, 10 at once "
        "| 40.0 ms of processor time a second and call, 16.0 times ours; 9.0 MB a call |",
        "| 10 rolling restarts under live calls by WebSocket, WebRTC and phone "
        "| 2 of 20 calls lost, 4 events or words missing |",
    ]


def test_outages_have_their_row(tmp_path: Path) -> None:
    outages = [Outage("Redis", 60.0, caught_up_s=1.25), Outage("PostgreSQL", 60.0)]
    judged = Judged(12, 900, 40, 1, ("ws error 1",), 2, 0, 3)
    write_results(tmp_path / "a.json", machine("outages"), settings={"outage_s": 60.0}, outages=outages, judged=judged)
    assert rows(table(read_results(tmp_path))) == [
        "| Live calls, 60 s each without Redis; PostgreSQL | 1 of 12 calls dropped, 2 of 900 events and 3 of 40 turns "
        "lost; caught up after 1.2 s at most; not within the time without PostgreSQL |"
    ]


def vars_of(value: Machine) -> dict[str, Any]:
    return {name: getattr(value, name) for name in Machine.__slots__}


def test_ramp_overload_and_fates_have_their_rows(tmp_path: Path) -> None:
    times = spread([400.0, 500.0, 600.0])
    held, broke = (
        ramp.Stage(calls, times, 50, 0, 0, 35.0, 0.7, failures, times)
        for calls, failures in ((16, list[str]()), (20, ["lost"]))
    )
    write_results(tmp_path / "a.json", machine("ramp"), settings={}, stages=[held, broke], capacity=16)
    found = [
        overload.Stretch(name, times, {}, 50, 0, 9, 900, spread([5.0, 30.0]), 99) for name in ("before", "overload")
    ]
    outcome = overload.Outcome(95, found, 0.042, 4.5, [], {}, [], times)
    write_results(tmp_path / "b.json", machine("overload"), settings={"times": 3.0}, outcome=outcome)
    fates = mixed_fates.Outcome(812.0, {"tasks": 2.0}, {}, {"twilio normal: late": 3}, {})
    write_results(tmp_path / "c.json", machine("mixed_fates"), settings={"calls": 5000}, outcome=fates)
    told = dict(row.strip("| ").split(" | ") for row in rows(table(read_results(tmp_path))))
    assert told["Calls on one core with the embedded engines, all of them talking or listening"] == (
        "16: median 500 ms, p95 590 ms, 70% of the core"
    )
    assert told["3 times as many callers as the 95 that fit"] == (
        "refused within p95 29 ms, at most 30 ms; voice to voice p95 of those admitted +4 %; normal after 4 s"
    )
    assert told["Left behind by 5000 calls by WebSocket, phone and WebRTC that end in every way"] == (
        "2 tasks; memory 0.8 KiB a call; 3 did not go as planned"
    )


def test_without_results_it_says_how_to_get_some() -> None:
    assert "make bench" in table([])


def test_only_what_is_between_the_markers_changes() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_figures(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="figures"):
        with_figures("no markers", "new")


def test_the_readme_has_the_figures_of_the_results() -> None:
    assert with_figures(README.read_text(), table(read_results(RESULTS))) == README.read_text()
    assert main(["--check"]) == 0


def test_the_check_by_the_command_line() -> None:
    script = README.parent / "scripts" / "figures.py"
    assert subprocess.run([sys.executable, str(script), "--check"], check=False, timeout=30).returncode == 0
