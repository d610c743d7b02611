"""What config-push reports for devices that misbehave, and that the others are done all the same."""

import json

from support import Case

CONFIG = """interface Loopback0
 description probe
ntp server 10.9.9.9
logging host 10.1.1.1
"""


class Faults(Case):
    """One inventory with every fault in it, and healthy devices between them."""

    FAULTS = ["r2=hang-after-banner", "r3=wrong-host-key", "r4=reject-line:ntp",
              "r5=close-after-line:2", "r6=refuse", "r7=reject-login"]

    def push_all(self, *options):
        arguments = [word for fault in self.FAULTS for word in ("--fault", fault)]
        fleet = self.fleet(9, *arguments)
        # r8 is missing from known_hosts.
        known = fleet.known_hosts.read_text().splitlines(keepends=True)
        fleet.known_hosts.write_text("".join(l for l in known if "127.1.0.8]" not in l))
        self.write("c.cfg", CONFIG)
        return self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                         "--connect-timeout", "4s", "--save", *options)

    def test_each_fault_is_reported_with_its_phase_and_reason_and_the_others_are_done(self):
        result = self.push_all("--output", "json", "--no-progress")
        self.assertEqual(result.status, 1, result)
        report = json.loads(result.out)
        devices = {device["device"]: device for device in report["devices"]}
        self.assertEqual(list(devices), [f"r{i}" for i in range(1, 10)])
        for name in ("r1", "r9"):
            self.assertEqual(devices[name]["state"], "changed", result)
            self.assertEqual(devices[name]["applied"], 4)
            self.assertTrue(devices[name]["saved"])
            self.assertIsNone(devices[name]["failure"])
        expected = {
            "r2": ("unreachable", 0, "key exchange", "timed out"),
            "r3": ("unreachable", 0, "host key", "has changed"),
            "r4": ("failed", 2, "command", "c.cfg:3"),
            "r5": ("failed", 2, "command", "connection was lost"),
            "r6": ("unreachable", 0, "connect", "refused"),
            "r7": ("unreachable", 0, "authentication", "refused"),
            "r8": ("unreachable", 0, "host key", "not known"),
        }
        for name, (state, applied, phase, words) in expected.items():
            device = devices[name]
            with self.subTest(device=name):
                self.assertEqual(device["state"], state, device)
                self.assertEqual(device["applied"], applied, device)
                self.assertEqual(device["failure"]["phase"], phase)
                self.assertIn(words, device["failure"]["reason"])
                self.assertTrue(device["failure"]["remedy"], device)
                self.assertTrue(device["host"].startswith("127.1.0." + name[1:] + ":"), device)
                self.assertFalse(device["saved"])
        self.assertIn("Invalid input", devices["r4"]["words"])
        self.assertEqual(devices["r4"]["line"], 3)
        self.assertIn("known_hosts:3", devices["r3"]["failure"]["reason"])
        self.assertEqual(devices["r3"]["failure"]["reason"].count("SHA256:"), 2)
        self.assertEqual(report["summary"]["states"]["changed"], 2)
        self.assertEqual(report["summary"]["exit_status"], 1)

    def test_the_table_says_the_same_and_no_output_holds_a_password(self):
        result = self.push_all()
        self.assertEqual(result.status, 1, result)
        for words in ("has changed", "not known", "Connection refused", "timed out",
                      "% Invalid input", "remedy:", "2 changed, 2 failed, 5 unreachable"):
            self.assertIn(words, result.out)
        self.assertIn("r1: changed, 4 of 4 lines", result.err)  # progress, a line for each device
        self.assertNotIn("password: admin", result.out + result.err)
        self.assertNotIn("secret: secret", result.out + result.err)


class Outcomes(Case):
    def test_a_second_push_of_the_same_lines_changes_nothing(self):
        self.fleet(2)
        self.write("c.cfg", CONFIG)
        arguments = ("devices.yaml", "c.cfg", "--known-hosts", "known_hosts", "--output", "json")
        first = self.push(*arguments)
        second = self.push(*arguments)
        self.assertEqual((first.status, second.status), (0, 0), first)
        self.assertEqual({d["state"] for d in json.loads(first.out)["devices"]}, {"changed"})
        self.assertEqual({d["state"] for d in json.loads(second.out)["devices"]}, {"unchanged"})

    def test_ndjson_gives_a_line_for_each_device(self):
        self.fleet(3)
        self.write("c.cfg", CONFIG)
        result = self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                           "--output", "ndjson", "--no-progress")
        self.assertEqual(result.status, 0, result)
        devices = [json.loads(line) for line in result.out.splitlines()]
        self.assertEqual({device["device"] for device in devices}, {"r1", "r2", "r3"})
        self.assertEqual(result.err, "")

    def test_a_filter_leaves_the_other_devices_alone(self):
        self.fleet(3)
        self.write("c.cfg", CONFIG)
        result = self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                           "--filter", "name:r2", "--output", "json")
        self.assertEqual([d["device"] for d in json.loads(result.out)["devices"]], ["r2"], result)

    def test_a_device_that_never_answers_a_line_is_left_after_the_limit(self):
        self.fleet(2, "--fault", "r1=hang-after-line:3")
        self.write("c.cfg", CONFIG)
        result = self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts",
                           "--command-timeout", "2s", "--output", "json")
        devices = json.loads(result.out)["devices"]
        self.assertEqual(result.status, 1, result)
        self.assertEqual([d["state"] for d in devices], ["failed", "changed"], result)
        self.assertEqual(devices[0]["applied"], 3)  # read back: the third line is in effect
        self.assertTrue(devices[0]["failure"]["timed_out"])
