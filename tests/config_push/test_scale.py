"""Together is the time of the slowest; one by one is the sum."""

import json
import signal
import time

from support import Case


class Scale(Case):
    def run_push(self, *options):
        self.write("c.cfg", "ntp server 10.9.9.9\n")
        start = time.monotonic()
        result = self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                           "--output", "json", "--no-progress", "--no-compare", *options, limit=110)
        elapsed = time.monotonic() - start
        report = json.loads(result.out)
        self.assertEqual(result.status, 0, result)
        return elapsed, [device["seconds"] for device in report["devices"]]

    def test_forty_slow_devices_at_once_take_the_time_of_the_slowest(self):
        # Three seconds of latency each, before the SSH version line.
        fleet = self.fleet(40, "--connect-latency", "3s")
        elapsed, times = self.run_push("--max-at-once", "40")
        self.assertEqual(len(times), 40)
        self.assertTrue(all(seconds >= 3 for seconds in times), times)
        self.assertGreaterEqual(sum(times), 40 * 3)
        self.assertLess(elapsed, max(times) + 3)
        self.assertEqual(fleet.stop(), 40)  # sessions at once

    def test_forty_devices_one_by_one_take_the_sum(self):
        fleet = self.fleet(40, "--connect-latency", "100ms")
        elapsed, times = self.run_push("--max-at-once", "1")
        self.assertTrue(all(seconds >= 0.1 for seconds in times), times)
        self.assertGreaterEqual(elapsed, sum(times))
        # One's goodbye may still be on its way when the next arrives.
        self.assertLessEqual(fleet.stop(), 2)

    def test_a_thousand_devices_in_one_run(self):
        fleet = self.fleet(1000)
        _, times = self.run_push("--max-at-once", "1000")
        self.assertEqual(len(times), 1000)
        self.assertGreater(fleet.stop(), 100)


class Interrupts(Case):
    def test_the_first_interrupt_starts_no_further_device(self):
        self.fleet(6, "--latency", "300ms")
        self.write("c.cfg", "ntp server 10.9.9.9\n")
        process = self.start("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                             "--max-at-once", "1", "--output", "json")
        self.assertIn("6 devices", process.stderr.readline())
        self.assertIn("r1: changed", process.stderr.readline())  # the second is at work
        process.send_signal(signal.SIGINT)
        result = self.finish(process)
        self.assertEqual(result.status, 130, result)
        self.assertIn("interrupted", result.err)
        states = [device["state"] for device in json.loads(result.out)["devices"]]
        self.assertEqual(states[0], "changed")
        self.assertEqual(set(states[2:]), {"not_started"})

    def test_the_second_aborts(self):
        self.fleet(2, "--fault", "r1=hang-after-prompt", "--fault", "r2=hang-after-prompt")
        self.write("c.cfg", "ntp server 10.9.9.9\n")
        process = self.start("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                             "--max-at-once", "1")
        self.assertIn("2 devices", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertIn("interrupted", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        result = self.finish(process, limit=20)
        self.assertEqual(result.status, 143, result)


class Demo(Case):
    def test_the_demonstration_pushes_and_reads_back(self):
        result = self.push("--demo")
        self.assertEqual(result.status, 0, result)
        self.assertIn("50 devices: 50 changed", result.out)
        self.assertIn("50 of 50 devices show it", result.out)
        self.assertIn("ntp server 192.0.2.10", result.out)
