"""A virtual fleet as a process of its own, and config-push run as a user runs it."""

import os
import re
import resource
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

BIN = Path(os.environ.get("MUSTER_BIN", "build/dev/bin"))


class VirtualFleet:
    """virtual-fleet, in a folder of its own with devices.yaml and known_hosts."""

    def __init__(self, folder, devices, *options):
        self.folder = Path(folder)
        self.inventory = self.folder / "devices.yaml"
        self.known_hosts = self.folder / "known_hosts"
        self.process = subprocess.Popen(
            [BIN / "virtual-fleet", "--devices", str(devices), "--inventory", self.inventory,
             "--known-hosts", self.known_hosts, "--no-http", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # It writes its files, then says where it listens; then it serves.
        self.greeting = []
        for line in self.process.stdout:
            self.greeting.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise RuntimeError("virtual-fleet did not start: " + "".join(self.greeting))
        self.peak = None

    def stop(self):
        if self.peak is None:
            self.process.send_signal(signal.SIGTERM)
            rest, _ = self.process.communicate(timeout=30)
            self.peak = int(re.search(r"at most (\d+) SSH sessions", rest).group(1))
        return self.peak


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __str__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Case(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="muster-test-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def fleet(self, devices, *options):
        fleet = VirtualFleet(self.folder, devices, *options)
        self.addCleanup(fleet.stop)
        return fleet

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *arguments, descriptors=None):
        """descriptors: how many files the program may have open."""
        def limit():
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        return subprocess.Popen([BIN / "config-push", *map(str, arguments)], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, preexec_fn=limit)

    def finish(self, process, limit=90):
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"config-push did not end within {limit} s\n{out}\n{err}")
        return Result(process.returncode, out, err)

    def push(self, *arguments, limit=90, descriptors=None):
        return self.finish(self.start(*arguments, descriptors=descriptors), limit)
