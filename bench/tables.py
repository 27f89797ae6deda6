"""Tables of results in Markdown, between markers: ``<!-- figures NAME -->`` and ``<!-- end of figures -->``."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.figures import DIRECTIONS, summary

Results = Mapping[str, Sequence[Mapping[str, Any]]]
PLACE = re.compile(r"(<!-- figures ([a-z0-9-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
NOT_MEASURED = "not measured"


def filled(page: str, results: Results) -> str:
    """The page with each place filled."""

    def fill(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return begin + "\n".join(TABLES[name](results)) + "\n" + end

    return PLACE.sub(fill, page)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return ["", *(f"| {one} |" for one in lines), ""]


def last(results: Results, part: str, what: str) -> Mapping[str, Any]:
    """The line of a part that sums up; empty where there is none."""
    found = [one for one in results.get(part, ()) if one["what"] == what]
    return found[-1] if found else {}


def number(value: float) -> str:
    """Three digits that mean something."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(row: Mapping[str, float] | None, unit: str = "") -> str:
    """Median, and least to most."""
    if row is None:
        return NOT_MEASURED
    text = f"{number(row['median'])}{unit}"
    return (
        text if row["min"] == row["max"] else f"{text} ({number(row['min'])}-{number(row['max'])})"
    )


def figure(results: Results, part: str, target: str, name: str) -> Mapping[str, float] | None:
    """A figure of a target in the summary of a part."""
    rows = last(results, part, f"{what_of(part)} summary").get("targets", {})
    found: Mapping[str, float] | None = rows.get(target, {}).get(name)
    return found


def what_of(part: str) -> str:
    if part.startswith("interrupt"):
        return "interrupt"
    return "sessions" if part.startswith("calls-") or part in ("websockets", "pipecat") else part


def ratio(results: Results, part: str, peer: str, name: str = "cpu_percent_per_call") -> str:
    """Ours over theirs: of the medians, and of each round."""
    ours = [run[name] for run in runs(results, part, "waav")]
    theirs = [run[name] for run in runs(results, part, peer)]
    of_medians = last(results, part, "sessions summary").get("ratio", {}).get(peer, {}).get(name)
    each = [one / other for one, other in zip(ours, theirs, strict=False) if other]
    if of_medians is None or not each:
        return NOT_MEASURED
    return spread({"median": of_medians, "min": min(each), "max": max(each)}, " x")


def runs(results: Results, part: str, target: str) -> list[Mapping[str, Any]]:
    return [
        one
        for one in results.get(part, ())
        if one.get("target") == target and not one["what"].endswith("summary")
    ]


def added(results: Results, way: str) -> str:
    """What 20 calls wait longer than without a gateway: p50 / p99."""
    texts = []
    for share in ("p50", "p99"):
        ours = figure(results, "calls-20", "waav", f"{way}.{share}_ms")
        floor = figure(results, "calls-20", "rig", f"{way}.{share}_ms")
        if ours is None or floor is None:
            return NOT_MEASURED
        texts.append(spread({key: max(0.0, ours[key] - floor["median"]) for key in ours}))
    return " / ".join(texts) + " ms"


def blemishes(results: Results) -> str:
    """All frames of all runs of ours, and what was wrong with them."""
    frames = wrong = 0
    for lines in results.values():
        for one in lines:
            if one.get("target", "waav") != "waav" or one["what"].endswith(("summary", "sample")):
                continue
            for way in DIRECTIONS:
                row = one.get(way, {})
                if "sent" in row:
                    frames += row["sent"]
                    wrong += row["sent"] - row["received"] + row["doubled"] + row["reordered"]
    return f"{wrong} of {frames:,}" if frames else NOT_MEASURED


def required(results: Results) -> list[str]:
    """What issue 3 asks for."""
    workers = last(results, "workers", "workers summary")
    soak = last(results, "soak", "soak")
    kept = NOT_MEASURED
    if soak:
        kept = f"{soak['descriptors_before']} before, {soak['descriptors_after']} after; {number(soak['rss_mb_per_h'])} MB/h"
    two = " / ".join(
        spread(workers[name], " x") if workers else NOT_MEASURED
        for name in ("requests_ratio", "possible_ratio", "calls_ratio")
    )
    silence = " / ".join(
        spread(figure(results, part, "waav", "last_frame.p99_ms"), " ms")
        for part in ("interrupt-real-time", "interrupt")
    )
    memory = " / ".join(
        spread(figure(results, part, "waav", "rss_mb_per_call"), " MB")
        for part in ("calls-20", "calls-80")
    )
    rows = [
        ("CPU per call over the picows relay, 20 calls", "2.0 x", "1.6 x", ratio(results, "calls-20", "picows")),
        ("the same, 80 calls", "2.0 x", "1.6 x", ratio(results, "calls-80", "picows")),
        ("CPU per call over pipecat's, 10 calls", "0.33 x", "0.25 x", ratio(results, "pipecat", "pipecat")),
        ("calls per core at 80 calls", "150", "200", spread(figure(results, "calls-80", "waav", "calls_per_core"))),
        ("delay added caller to vendor, p50 / p99, 20 calls", "0.5 / 10 ms", "0.2 / 5 ms", added(results, "audio_up")),
        ("delay added vendor to caller, speech, p50 / p99", "0.6 / 10 ms", "0.3 / 5 ms", added(results, "speech_down")),
        ("`config` to `ready`, p50, 20 calls", "25 ms", "12 ms", spread(figure(results, "calls-20", "waav", "ready.p50_ms"), " ms")),
        ("memory per call, at 20 / 80 calls", "0.5 MB", "0.2 MB", memory),
        ("`clear` to last frame, p99: 20 calls in real time / one as fast as it goes", "20 ms", "10 ms", silence),
        ("two workers over one: requests, beside their client / with whole cores / calls", "1.6 x", "1.8 x", two),
        ("soak at 70 % of capacity: descriptors; memory", "same; 2 MB/h", "same; 1 MB/h", kept),
        ("frames lost, doubled or out of order, all runs", "0", "0", blemishes(results)),
    ]  # fmt: skip
    return table(("figure", "must", "target", "measured"), rows)


SESSION_COLUMNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CPU % per call", ("cpu_percent_per_call",)),
    ("calls per core", ("calls_per_core",)),
    ("us per frame", ("us_per_frame",)),
    ("user share", ("user_share",)),
    ("MB per call", ("rss_mb_per_call",)),
    ("caller to vendor p50 / p99 ms", ("audio_up.p50_ms", "audio_up.p99_ms")),
    ("speech p50 / p99 ms", ("speech_down.p50_ms", "speech_down.p99_ms")),
    ("transcripts p50 ms", ("transcripts.p50_ms",)),
    ("first chunk p50 ms", ("first_chunk.p50_ms",)),
    ("ready p50 ms", ("ready.p50_ms",)),
    ("CPU % of others", ("rig.others_cpu_percent",)),
)


def medians(row: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> str:
    return " / ".join(number(row[name]["median"]) if name in row else "-" for name in names)


def session_rows(results: Results) -> list[str]:
    """One row for each number of calls and target."""
    rows = []
    for part in ("calls-1", "pipecat", "calls-20", "websockets", "calls-80", "calls-160"):
        found = last(results, part, "sessions summary")
        for target, row in found.get("targets", {}).items():
            cells = [medians(row, names) for _, names in SESSION_COLUMNS[1:]]
            cpu = spread(row.get("cpu_percent_per_call"))
            rows.append([f"{found['calls']}", target, f"{found['rounds']}", cpu, *cells])
    head = ["calls", "target", "rounds", *(title for title, _ in SESSION_COLUMNS)]
    return table(head, rows)


def echo_rows(results: Results) -> list[str]:
    rows = []
    for one in results.get("echo", ()):
        if one["what"] == "echo summary":
            for target, row in one["targets"].items():
                rows.append([
                    "TLS" if one["tls"] else "plain", target, spread(row["cpu_us_per_message"]),
                    spread(row["user_us_per_message"]), spread(row["set_up_ms_per_connection"]),
                    medians(row, ("round_trip.p50_ms", "round_trip.p99_ms")),
                ])  # fmt: skip
    head = (
        "",
        "server",
        "CPU us per message",
        "of it user",
        "CPU ms per connection",
        "round trip p50 / p99 ms",
    )
    return table(head, rows)


def speak_rows(results: Results) -> list[str]:
    found = last(results, "speak", "speak summary").get("targets", {})
    rows = [
        [name, spread(row["requests_per_s"]), spread(row["cpu_us_per_request"]),
         medians(row, ("took.p50_ms", "took.p99_ms")), spread(row["mb_per_s"])]
        for name, row in found.items()
    ]  # fmt: skip
    return table(("answers", "requests/s", "CPU us each", "p50 / p99 ms", "MB/s"), rows)


def workers_rows(results: Results) -> list[str]:
    found = last(results, "workers", "workers summary")
    rows = []
    if found:
        requests, cpu = found["requests_per_s"], found["busiest_worker_cpu_percent"]
        possible = found["possible_requests_per_s"]
        rows = [
            ["cached `POST /speak` in a second", spread(requests["1"]), spread(requests["2"]),
             spread(found["requests_ratio"], " x")],
            ["the same, if the busiest had a core to itself", spread(possible["1"]),
             spread(possible["2"]), spread(found["possible_ratio"], " x")],
            [f"CPU % of the busiest process, {found['calls']} calls", spread(cpu["1"]),
             spread(cpu["2"]), spread(found["calls_ratio"], " x")],
        ]  # fmt: skip
    return table(("", "one", "two", "gain"), rows)


def interrupt_rows(results: Results) -> list[str]:
    rows = []
    for part, title in (
        ("interrupt-real-time", "20 calls, in real time"),
        ("interrupt", "one call, as fast as it is read"),
    ):
        row = last(results, part, "interrupt summary").get("targets", {}).get("waav", {})
        if row:
            rows.append([title, *(
                medians(row, [f"{name}.{share}_ms" for share in ("p50", "p99", "max")])
                for name in ("last_frame", "answer", "after_decision")
            )])  # fmt: skip
    head = (
        "the vendor speaks",
        "`clear` to last frame, p50 / p99 / max ms",
        "`clear` to the answer to a `ping`",
        "decision to last frame",
    )
    return table(head, rows)


def soak_rows(results: Results) -> list[str]:
    found = last(results, "soak", "soak")
    if not found:
        return table(("soak", ""), [])
    rows = [
        ("calls at a time / in all", f"{found['calls']} / {found['calls_in_all']}"),
        ("minutes", number(found["seconds"] / 60)),
        ("CPU", f"{number(found['cpu_percent'])} % of a core"),
        ("descriptors before / after", f"{found['descriptors_before']} / {found['descriptors_after']}"),
        ("memory before / after", f"{number(found['rss_mb_before'])} / {number(found['rss_mb_after'])} MB"),
        ("growth of memory after warming up", f"{number(found['rss_mb_per_h'])} MB/h"),
        ("worst lag of the event loop", f"{number(found['lag_max_ms'])} ms"),
        ("caller to vendor p50 / p99", f"{found['audio_up']['p50_ms']} / {found['audio_up']['p99_ms']} ms"),
        ("faults", str(len(found["faults"]))),
    ]  # fmt: skip
    return table(("soak", ""), rows)


def models_rows(results: Results) -> list[str]:
    """Frame delays of calls in each condition, beside calls that talk to the vendor without a gateway."""
    lines = [one for one in results.get("models", ()) if one["what"] == "models"]
    rows = []
    for name in lines[0] if lines else ():
        if "floor" not in (lines[0][name] if isinstance(lines[0][name], dict) else ()):
            continue
        row = summary([one[name] for one in lines])
        cells = [
            medians(row, (f"{place}{way}.p50_ms", f"{place}{way}.p99_ms"))
            for way in ("audio_up", "speech_down")
            for place in ("", "floor.")
        ]
        rows.append([name.replace("_", " "), *cells])
    head = (
        "meanwhile", "caller to vendor p50 / p99 ms", "without a gateway", "speech p50 / p99 ms",
        "without a gateway",
    )  # fmt: skip
    return table(head, rows)


def made(results: Results) -> list[str]:
    """Where and when, and with what."""
    runs_of_ours = [one for lines in results.values() for one in lines if "machine" in one]
    if not runs_of_ours:
        return ["", "Nothing has been measured yet.", ""]
    newest = max(runs_of_ours, key=lambda one: one.get("date", ""))
    about = newest["machine"]
    versions: dict[str, str] = {}
    for one in runs_of_ours:
        versions |= one.get("versions", {})
    days = sorted({one["date"][:10] for one in runs_of_ours if "date" in one})
    return [
        "",
        f"{about['cpu']}, {about['cores']} cores, {about['system']}, Linux {about['kernel']}; "
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}.",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
    ]


def short(results: Results) -> list[str]:
    """For the README: calls at 20 and 80."""
    parts = ("calls-20", "calls-80")
    names = (
        ("CPU per call, % of a core", "cpu_percent_per_call"),
        ("calls per core", "calls_per_core"),
        ("memory per call, MB", "rss_mb_per_call"),
        ("caller to vendor, p50, ms", "audio_up.p50_ms"),
        ("caller to vendor, p99, ms", "audio_up.p99_ms"),
        ("vendor to caller, speech, p50, ms", "speech_down.p50_ms"),
        ("vendor to caller, speech, p99, ms", "speech_down.p99_ms"),
        ("`config` to `ready`, p50, ms", "ready.p50_ms"),
    )
    rows = [
        [title, *(spread(figure(results, part, "waav", name)) for part in parts)]
        for title, name in names
    ]
    rows.append(
        [
            "CPU per call over a bare picows relay",
            *(ratio(results, part, "picows") for part in parts),
        ]
    )
    return table(("", "20 calls", "80 calls"), rows)


TABLES: dict[str, Callable[[Results], list[str]]] = {
    "required": required,
    "sessions": session_rows,
    "echo": echo_rows,
    "speak": speak_rows,
    "workers": workers_rows,
    "interrupt": interrupt_rows,
    "soak": soak_rows,
    "models": models_rows,
    "made": made,
    "short": short,
}
