#!/usr/bin/env python3
"""Measures what small programs cost: seconds and memory of the compiler, size of the program.

The size is that of the program as it would be shipped: muster and Asio linked in, what is not used
left out, symbols stripped; the C++ and C libraries are shared.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"

# name, source, and the targets: seconds, megabytes, kilobytes of the program
PROGRAMS = [
    ("hello-gather", "hello_gather.cpp", (2.1, 200, 150)),
    ("hello-interop", "hello_interop.cpp", None),
    ("hello-awaitable", "hello_awaitable.cpp", None),
]


def run(command):
    """Runs it; the seconds of processor time and the megabytes it took."""
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} has failed, with status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(compiler, libraries, source, runs, folder):
    """Seconds, megabytes and kilobytes of one program."""
    objects = folder / "program.o"
    program = folder / "program"
    compile_it = [compiler, "-std=c++20", "-O2", "-ffunction-sections", "-DBOOST_ASIO_NO_DEPRECATED",
                  f"-I{INCLUDE}", "-c", source, "-o", objects]
    if source.name != "hello_awaitable.cpp":
        compile_it.insert(1, "-DBOOST_ASIO_SEPARATE_COMPILATION")
    costs = [run(compile_it) for _ in range(runs)]
    run([compiler, objects, *libraries, "-lssl", "-lcrypto", "-lpthread", "-Wl,--gc-sections",
         "-Wl,--as-needed", "-s", "-o", program])
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    if said != "3\n":
        sys.exit(f"{source.name} has printed {said!r}")
    return (statistics.median(seconds for seconds, _ in costs),
            statistics.median(memory for _, memory in costs),
            program.stat().st_size / 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="the build folder with muster's libraries")
    parser.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--runs", type=int, default=5, help="compilations of each (default: 5)")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to this file")
    arguments = parser.parse_args()

    libraries = [arguments.build / "src" / name
                 for name in ("net/libmuster_net.a", "core/libmuster_core.a", "core/libmuster_asio.a")]
    for library in libraries:
        if not library.exists():
            parser.error(f"{library} is missing: build it first (scripts/bench.sh does)")
    if shutil.which(arguments.compiler) is None:
        parser.error(f"there is no compiler {arguments.compiler}; name one with --compiler")

    figures = {}
    print(f"{'':18}{'s to compile':>14}{'MB to compile':>15}{'kB stripped':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for name, source, targets in PROGRAMS:
            figures[name] = measure(arguments.compiler, libraries, HERE / source, arguments.runs,
                                    pathlib.Path(folder))
            seconds, memory, size = figures[name]
            print(f"{name:18}{seconds:14.2f}{memory:15.0f}{size:13.0f}")
            for target, got, unit in zip(targets or (), figures[name], ("s", "MB", "kB")):
                print(f"  {'reached' if got <= target else 'MISSED':8} {got:.3g} {unit} "
                      f"(at most {target})")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
