"""The table of figures in README.md, made from ``benchmarks/results/*.json``.

``python scripts/figures.py`` writes it between its two markers; with ``--check`` nothing is written, and the exit code
is 1 when README.md says something else. A result is known by the benchmark in the command that made it, not by its file
name, so there may be several of one benchmark. Results of unknown benchmarks are left out.
"""

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
_NONE_YET = "No results are in `benchmarks/results/` yet: `make bench` writes them."

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    what: str
    value: str


def _spread(values: Mapping[str, float], *names: str) -> str:
    return ", ".join(f"{name} {values[name]:.0f} ms" for name in names)


def _latency(result: Result) -> Iterator[Figure]:
    summary, calls = result["summary"], result["settings"]["calls"]
    at_once = "one call" if calls == 1 else f"{calls} calls at once"
    if summary["voice_to_voice_ms"]:
        answered = f"{summary['answered']} of {summary['utterances']} utterances answered"
        value = _spread(summary["voice_to_voice_ms"], "median", "p90", "p95")
        yield Figure(f"Voice to voice with the embedded engines, {at_once}", f"{value}; {answered}")
    stages = {name.removesuffix("_ms"): each for name, each in summary["stages_ms"].items() if each}
    if stages:
        parts = ", ".join(f"{name} {each['median']:.0f}" for name, each in stages.items())
        yield Figure(f"Its parts, {at_once}", f"medians in ms: {parts}")
    if summary["cut_share"] is not None:
        with_pause, without = summary["cut_share_with_pause"], summary["cut_share_without_pause"]
        value = (
            f"{summary['cut_share']} % ({_share(with_pause)} of those with a pause in them, {_share(without)} without)"
        )
        yield Figure("Callers cut off in the middle of an utterance", value)


def _bargein(result: Result) -> Iterator[Figure]:
    summary = result["summary"]
    if summary["stop_ms"]:
        value = f"{_spread(summary['stop_ms'], 'median', 'p95')}; {summary['taken']} of {summary['barge_ins']} taken"
        yield Figure("The agent falls silent after the caller begins to speak over it", value)
    if summary["compared"]:
        value = f"exact in {summary['exact']} of {summary['compared']}, at most {summary['worst_words_off']} words off"
        yield Figure("Words that the gateway says were heard, against the audio that was received", value)
    if summary["coughs"]:
        yield Figure("Short noises over a reply that did no harm", f"{summary['coughs_right']} of {summary['coughs']}")


def _overhead(result: Result) -> Iterator[Figure]:
    calls, load, overhead = result["settings"]["calls"], result["load"], result["summary"]["overhead"]
    if overhead:
        value = f"{_spread(overhead, 'median', 'p90', 'p99')}; {load['unanswered']} utterances unanswered"
        yield Figure(f"What the gateway itself adds, {calls} calls at once", value)
    if load["cpu_ms_per_call_second"] is not None:
        cpu_ms = load["cpu_ms_per_call_second"]
        yield Figure(f"Processor time of the gateway, {calls} calls at once", f"{cpu_ms:.1f} ms a second and call")


def _density(result: Result) -> Iterator[Figure]:
    for stage in result["stages"]:
        calls, failed = stage["calls"], len(stage["failures"])
        cpu, share = stage["cpu_ms_per_call_second"], stage["core_share"]
        yield Figure(
            f"Phone calls on one core, {calls} at once: processor time",
            f"{cpu:.1f} ms a second and call, {share:.0%} of the core; {stage['memory_mb_per_call']:.2f} MB a call",
        )
        if stage["overhead_ms"]:
            value = f"{_spread(stage['overhead_ms'], 'median', 'p95')}; {stage['underruns']} of {stage['replies']}"
            yield Figure(
                f"Phone calls on one core, {calls} at once: what the gateway adds",
                f"{value} replies ran dry, gaps p95 {stage['gap_p95_ms']:.0f} ms, {failed} calls failed",
            )


def _wer(result: Result) -> Iterator[Figure]:
    for total in result["totals"]:
        if total["word_error_rate"] is not None:
            value = f"{total['word_error_rate']} % of {total['words']} words"
            if total["noise_clips"]:
                value += f"; {total['noise_turns']} turns out of {total['noise_clips']} clips of noise"
            yield Figure(f"Words misheard over a whole call, {total['encoding']}", value)


def _soak(result: Result) -> Iterator[Figure]:
    calls = result["holdings"][-1]["after_calls"]
    summary = result["summary"]
    left = "; ".join(summary["leaks"]) or "no task, thread, descriptor or key without expiry"
    value = f"{left}; memory {summary['kib_a_call']:.1f} KiB a call; {summary['failed']} failed"
    yield Figure(f"Left behind by {calls} calls that end in every way, {result['settings']['at_once']} at once", value)


def _tts(result: Result) -> Iterator[Figure]:
    for engine in result["engines"]:
        value = (
            f"first audio {engine['first_audio_median_ms']:.0f} ms median, {engine['first_audio_p90_ms']:.0f} ms p90"
        )
        if engine["wer"] is not None:
            value += f"; {100 * engine['wer']:.1f} % of its words misheard by the embedded speech to text"
        yield Figure(f"The agent's voice, {engine['engine']}", value)


def _webrtc(result: Result) -> Iterator[Figure]:
    for load in result["loads"]:
        if load["server"] == "voicegate" and load["gap_ms"]:
            value = (
                f"{load['cpu_ms_per_call_second']:.1f} ms of processor time a second and call; "
                f"between two packets p95 {load['gap_ms']['p95']:.0f} ms"
            )
            yield Figure(f"Browser calls on one core, {load['calls']} at once", value)
    for calls, ratio in result["ratios"].items():
        value = f"{100 * ratio:.0f} % of its processor time, {calls} calls each, whole pipeline against an echo"
        yield Figure("Browser calls beside plain aiortc", value)


def _impaired(result: Result) -> Iterator[Figure]:
    rates = {each["network"]: each["word_error_rate"] for each in result["words"]}
    for each in result["delays"]:
        value = (
            f"delay median {each['median_ms']:.0f} ms, p95 {each['p95_ms']:.0f} ms; {each['missing_percent']} % missing"
        )
        value += f"; {rates[each['network']]} % of words misheard"
        yield Figure(f"A browser's voice behind a network: {each['network']}", value)
    worst = max(each["recovery_s"] for each in result["recovery"])
    longest = max(each["outage_s"] for each in result["recovery"])
    yield Figure(f"After an outage of up to {longest:g} s, the delay is what it was", f"within {1000 * worst:.0f} ms")


def _webrtc_latency(result: Result) -> Iterator[Figure]:
    if result["difference_ms"] is not None:
        times = {name: each["voice_to_voice_ms"]["median"] for name, each in result["summaries"].items()}
        value = f"median {times['webrtc']:.0f} ms, by WebSocket {times['websocket']:.0f} ms at the same time; "
        value += f"the same utterance {result['difference_ms']:+.0f} ms"
        yield Figure("Voice to voice by WebRTC, with the embedded engines", value)


def _phone(result: Result) -> Iterator[Figure]:
    totals = result["totals"]
    value = f"{sum(each['answered'] for each in totals)} of {sum(each['exchanges'] for each in totals)} answered"
    if result["mulaw_word_error_rate"] is not None:
        value += f"; {result['mulaw_word_error_rate']} % of the callers' words misheard where the line is μ-law"
    yield Figure(f"Phone calls by {len(totals)} simulated carriers", value)


def _phone_bargein(result: Result) -> Iterator[Figure]:
    timed = sorted((each["stop_ms"]["median"], each["via"]) for each in result["summary"] if each["stop_ms"])
    if timed:
        (least, quickest), (most, slowest) = timed[0], timed[-1]
        within = sum(each["within_one"] for each in result["summary"])
        value = f"median {least:.0f} ms ({quickest}) to {most:.0f} ms ({slowest}); what was heard is known to within"
        value += f" one word in {within} of {sum(each['compared'] for each in result['summary'])}"
        yield Figure(f"The agent falls silent at the ear of {len(timed)} carriers' callers", value)


def _peers(result: Result) -> Iterator[Figure]:
    ours = next(each["cpu_ms_per_call_second"] for each in result["results"] if each["name"] == "voicegate")
    for each in result["results"]:
        value = f"{each['cpu_ms_per_call_second']:.1f} ms of processor time a second and call"
        if each["name"] != "voicegate":
            value += f", {each['cpu_ms_per_call_second'] / ours:.1f} times ours"
        if each["voice_to_voice_ms"]:
            value += f"; voice to voice {_spread(each['voice_to_voice_ms'], 'median', 'p95')}"
        value += f"; {each['memory_mb_per_call']:.1f} MB a call"
        yield Figure(f"The same phone calls on one core, {each['name']}, {each['calls']} at once", value)


def _rolling(result: Result) -> Iterator[Figure]:
    restarts, outcomes = result["settings"]["restarts"], result["outcomes"]
    lost, missing = (sum(each[name] for each in outcomes) for name in ("lost", "missing"))
    value = f"{lost} of {sum(each['calls'] for each in outcomes)} calls lost, {missing} events or words missing"
    yield Figure(f"{restarts} rolling restarts under live calls by WebSocket, WebRTC and phone", value)


def _outages(result: Result) -> Iterator[Figure]:
    settings, judged = result["settings"], result["judged"]
    late = [each["name"] for each in result["outages"] if each["caught_up_s"] is None]
    slowest = max((each["caught_up_s"] for each in result["outages"] if each["caught_up_s"] is not None), default=0.0)
    value = f"{judged['dropped']} of {judged['calls']} calls dropped, {judged['missing']} of {judged['events']} events "
    value += f"and {judged['different']} of {judged['turns']} turns lost; caught up after {slowest:.1f} s at most"
    value += f"; not within the time without {', '.join(late)}" if late else ""
    names = "; ".join(each["name"] for each in result["outages"])
    yield Figure(f"Live calls, {settings['outage_s']:g} s each without {names}", value)


def _ramp(result: Result) -> Iterator[Figure]:
    held = [each for each in result["stages"] if each["calls"] <= result["capacity"]]
    if held:
        value = f"{result['capacity']}: {_spread(held[-1]['voice_to_voice_ms'], 'median', 'p95')}, "
        value += f"{held[-1]['core_share']:.0%} of the core"
        yield Figure("Calls on one core with the embedded engines, all of them talking or listening", value)


def _overload(result: Result) -> Iterator[Figure]:
    outcome, times = result["outcome"], result["settings"]["times"]
    found = {each["name"]: each for each in outcome["stretches"]}["overload"]
    if found["refusal_ms"] and outcome["worse"] is not None:
        normal = outcome["normal_after_s"]
        value = (
            f"refused within p95 {found['refusal_ms']['p95']:.0f} ms, at most {found['refusal_ms']['worst']:.0f} ms; "
        )
        value += f"voice to voice p95 of those admitted {100 * outcome['worse']:+.0f} %; "
        value += "normal " + (f"after {normal:.0f} s" if normal is not None else "not within the time watched")
        yield Figure(f"{times:g} times as many callers as the {outcome['capacity']} that fit", value)


def _fates(result: Result) -> Iterator[Figure]:
    outcome, calls = result["outcome"], result["settings"]["calls"]
    left = "; ".join(f"{count:g} {what}" for what, count in outcome["left"].items())
    value = f"{left or 'no task, thread, descriptor or key'}; memory {outcome['bytes_a_call'] / 1024:.1f} KiB a call"
    value += f"; {sum(outcome['failed'].values())} did not go as planned"
    yield Figure(f"Left behind by {calls} calls by WebSocket, phone and WebRTC that end in every way", value)


def _control_api(result: Result) -> Iterator[Figure]:
    outcome, settings = result["outcome"], result["settings"]
    worst = {}
    for method in ("GET", "POST"):
        times = {name: each for name, each in outcome["requests"].items() if name.startswith(method)}
        name, slowest = max(times.items(), key=lambda each: each[1]["p95"])
        worst[method] = f"{method} p95 at most {slowest['p95']:.0f} ms ({name.split()[1]})"
    value = f"{worst['GET']}, {worst['POST']}; {outcome['api_cpu_ms_per_request']:.1f} ms of processor time each"
    if outcome["gaps"]:
        value += f"; longest gap in the calls {outcome['gaps']['longest_ms']:.0f} ms"
    kept = f"{settings['conversations']:,} conversations kept"
    what = f"The control API at {settings['rate']:g} requests a second, {kept}, {settings['calls']} calls beside it"
    yield Figure(what, value)


_READERS: Mapping[str, Callable[[Result], Iterator[Figure]]] = {
    "benchmarks.latency": _latency,
    "benchmarks.control_api": _control_api,
    "benchmarks.bargein": _bargein,
    "benchmarks.overhead": _overhead,
    "benchmarks.density": _density,
    "benchmarks.ramp": _ramp,
    "benchmarks.overload": _overload,
    "benchmarks.wer": _wer,
    "benchmarks.tts": _tts,
    "benchmarks.soak": _soak,
    "benchmarks.mixed_fates": _fates,
    "benchmarks.webrtc": _webrtc,
    "benchmarks.webrtc_impaired": _impaired,
    "benchmarks.webrtc_latency": _webrtc_latency,
    "benchmarks.phone": _phone,
    "benchmarks.phone_bargein": _phone_bargein,
    "benchmarks.peers": _peers,
    "benchmarks.rolling": _rolling,
    "benchmarks.outages": _outages,
}


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value} %"


def read_results(folder: Path) -> list[Result]:
    """All results that say on what machine and by which command they were made, by file name."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [each for each in found if isinstance(each, dict) and "machine" in each]


def table(results: Sequence[Result]) -> str:
    """The Markdown between the markers."""
    known = [each for each in results if _benchmark(each) in _READERS]
    if not known:
        return _NONE_YET
    rows = ["| what | measured |", "|---|---|"]
    for result in _in_order(known):
        rows += [f"| {figure.what} | {figure.value} |" for figure in _READERS[_benchmark(result)](result)]
    return "\n".join([*rows, "", *_origins(_in_order(known))])


def _benchmark(result: Result) -> str:
    """``benchmarks.latency`` of ``python -m benchmarks.latency --calls 1``."""
    words = str(result.get("machine", {}).get("command", "")).split()
    return words[2] if len(words) > 2 else ""


def _in_order(results: Iterable[Result]) -> list[Result]:
    return sorted(results, key=lambda each: list(_READERS).index(_benchmark(each)))


def _origins(results: Sequence[Result]) -> Iterator[str]:
    """Where the figures come from: each machine once, with the commands that ran on it."""
    commands: dict[str, list[str]] = {}
    for result in results:
        machine = result["machine"]
        name = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}"
        told = f"`{_command(machine['command'])}` (load {machine['load_1min']} before)"
        commands.setdefault(name, []).append(told)
    for name, ran in commands.items():
        yield f"Measured on {name}:"
        yield ""
        yield from (f"* {each}" for each in ran)


def _command(line: str) -> str:
    """Without the file that its result went to."""
    words = shlex.split(line)
    if "--json" in words[:-1]:
        at = words.index("--json")
        del words[at : at + 2]
    return shlex.join(words)


def with_figures(text: str, figures: str) -> str:
    """``text`` with ``figures`` between its markers.

    Raises:
        ValueError: there are no markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    text = README.read_text()
    wanted = with_figures(text, table(read_results(RESULTS)))
    if "--check" in arguments:
        if wanted != text:
            sys.stderr.write("README.md: the figures are not those of benchmarks/results; run scripts/figures.py\n")
        return int(wanted != text)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
