"""Runs the parts of the benchmark one after another, merges their rows into target/bench/ratios.json, prints one table.

Usage, from the top of the checkout: ratios.py PART…
A part is benches/PART/run.sh, which writes target/bench/rows/PART.json: see benches/README.md.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

OUT = pathlib.Path("target/bench")
BARS = json.loads(pathlib.Path("benches/bars.json").read_text())
NOISY = 0.5


def main(parts):
    run = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": output("git", "describe", "--always", "--dirty"),
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "rustc": output("rustc", "--version"),
        "parts": {},
    }
    rows, failed = {}, []
    for part in parts:
        print(f"\n==== {part}", flush=True)
        started = time.monotonic()
        measured = measure(part)
        if measured is None:
            failed.append(part)
            continue
        about, measured = measured
        run["parts"][part] = {**about, "seconds": round(time.monotonic() - started)}
        rows |= {name: judged(name, row) for name, row in measured.items()}
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "ratios.json").write_text(json.dumps({"run": run, **rows}, indent=2, ensure_ascii=False) + "\n")
    print_table(run, rows)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


def measure(part):
    """What a part says of its run, and its rows; noisy ones once more. None if it fails."""
    first = run_part(part)
    if first is None:
        return None
    about, rows = first
    noisy = [name for name, row in rows.items() if is_noisy(row)]
    if noisy:
        print(f"\n  noisy, once more: {' '.join(noisy)}", flush=True)
        _, again = run_part(part, noisy) or (None, {})
        for name in noisy:
            if name in again and again[name].get("spread", 0) <= rows[name].get("spread", 0):
                rows[name] = again[name]
    return about, rows


def run_part(part, only=()):
    file = OUT / "rows" / f"{part}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    environment = {**os.environ, "ROWS": " ".join(only)}
    if subprocess.run([f"benches/{part}/run.sh"], env=environment).returncode != 0 or not file.exists():
        return None
    rows = json.loads(file.read_text())
    return rows.pop("run", {}), rows


def is_noisy(row):
    return row.get("noisy", row.get("spread", 0) > NOISY)


def judged(name, row):
    """The row with its bar, and whether that is met."""
    overhead = "most" in BARS.get(name, {}) or row.get("ratio_is") == "ours / baseline"
    bar = BARS.get(name, {}).get("most" if overhead else "least", row.get("bar"))
    row = {**row, "ratio_is": "ours / baseline" if overhead else "baseline / ours", "noisy": is_noisy(row)}
    if bar is not None:
        row |= {"bar": bar, "met": row["ratio"] <= bar if overhead else row["ratio"] >= bar}
    return row


def print_table(run, rows):
    lines = [("row", "ours", "beside it", "", "ratio", "bar", "")]
    for name, row in rows.items():
        least = "≤" if row["ratio_is"] == "ours / baseline" else "≥"
        bar = f"{least} {row['bar']:g}" if "bar" in row else ""
        verdict = {True: "met", False: "MISSED"}.get(row.get("met"), "")
        unit = row.get("unit", "us").replace("us", "µs")
        amounts = [f"{row[side]:,.2f} {unit}" for side in ("ours", "baseline")]
        name_of = row.get("baseline_name", "")
        lines.append((name, *amounts, name_of, f"{row['ratio']:.2f}", bar, verdict + (" noisy" if row["noisy"] else "")))
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    rule = "  ".join("─" * width for width in widths)
    print(f"\n{run['machine']}, {run['date']}, commit {run['commit']}; load before: {run['load_before']}\n")
    for number, line in enumerate(lines):
        cells = [text.rjust(width) if column in (1, 2, 4) else text.ljust(width)
                 for column, (text, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
        if number == 0:
            print(rule)
    print(f"\nratio: how many times cheaper ours is; with a bar of ≤, how much dearer. Written: {OUT / 'ratios.json'}")


def machine():
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    about = [fields.get(name, "?") for name in ("model name", "cpu family", "model")]
    return f"{about[0]} (family {about[1]} model {about[2]}), {os.cpu_count()} CPUs"


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
