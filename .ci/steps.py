"""The steps of ``.ci/run``: runs each, counts, prints ``N passed, N failed, N skipped`` last."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRIAL = re.compile(r"^(?:PASSED|FAILED) ?\(([^)]*)\)\s*$", re.MULTILINE)


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def test_command() -> str:
    """The line of README.md under "Run the tests": one source, so that they cannot differ."""
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"^#+ Run the tests$.*?^```sh\n(.+?)\n```$", readme, re.MULTILINE | re.DOTALL)
    if not found or "\n" in found[1]:
        raise SystemExit("README.md has no one-line command under 'Run the tests'")
    return found[1]


def run(title: str, command: str) -> tuple[int, str]:
    """Run ``command``, showing its output as it comes; returns its exit code and output."""
    print(f"\n=== {title}\n$ {command}", flush=True)
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        shell=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        print(line, end="", flush=True)
    code = process.wait()
    print(f"=== {title}: exit {code} after {time.monotonic() - began:.0f} s", flush=True)
    return code, "".join(lines)


def count_trial(code: int, output: str, counts: Counts) -> None:
    """Add what trial's summary lines say; a run without one, or that ran nothing, is a failure."""
    summaries = TRIAL.findall(re.sub(r"\x1b\[[0-9;]*m", "", output))
    numbers: dict[str, int] = {}
    for summary in summaries:
        for key, value in re.findall(r"(\w+)=(\d+)", summary):
            numbers[key] = numbers.get(key, 0) + int(value)
    successes = numbers.get("successes", 0)
    failed = sum(numbers.get(key, 0) for key in ("failures", "errors", "unexpectedSuccesses"))
    counts.passed += successes
    counts.skipped += numbers.get("skips", 0) + numbers.get("expectedFailures", 0)
    counts.failed += failed
    if failed == 0 and (code != 0 or successes == 0):
        counts.failed += 1


def main() -> int:
    counts = Counts()
    code, output = run("tests, by the README's command", test_command())
    count_trial(code, output, counts)
    tox = ".venv/bin/tox"
    for environment in ("lint", "types", "docs"):
        code, _ = run(environment, f"{tox} -q -e {environment}")
        counts.passed += code == 0
        counts.failed += code != 0
    for environment in ("install", "browser", "prompts", "conformance"):
        code, output = run(environment, f"{tox} -q -e {environment}")
        count_trial(code, output, counts)
    print(f"\n{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped", flush=True)
    return 1 if counts.failed or counts.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
