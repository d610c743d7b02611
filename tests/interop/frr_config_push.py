"""config-push against FRRouting's vtysh behind OpenSSH. Run by frr.sh, which starts the router."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BIN = Path(os.environ["MUSTER_BIN"])
ENV = os.environ

CONFIG = """interface lo
 description set-by-muster
router bgp 65001
 bgp router-id 192.0.2.1
 neighbor 192.0.2.2 remote-as 65002
"""


class Frr(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="muster-frr-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.config = self.folder / "frr.cfg"

    def push(self, text, *options, inventory=ENV["FRR_INVENTORY"]):
        self.config.write_text(text)
        done = subprocess.run(
            [BIN / "config-push", inventory, self.config, "--known-hosts", ENV["FRR_KNOWN_HOSTS"],
             "--output", "json", "--no-progress", *options],
            capture_output=True, text=True, timeout=60)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout)["devices"][0]

    def show(self, command):
        """What the router says in a session of its own, through OpenSSH's client."""
        done = subprocess.run(
            ["ssh", "-F", "/dev/null", "-tt", "-p", ENV["FRR_PORT"], "-i", ENV["FRR_KEY"],
             "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={ENV['FRR_KNOWN_HOSTS']}",
             "-o", "StrictHostKeyChecking=yes", f"{ENV['FRR_USER']}@{ENV['FRR_HOST']}"],
            input=f"terminal length 0\n{command}\nexit\n", capture_output=True, text=True,
            timeout=30)
        self.assertIn("FRRouting", done.stdout, done.stderr)
        return done.stdout.replace("\r", "")

    def test_1_lines_are_set_read_back_and_saved(self):
        self.assertNotIn("set-by-muster", self.show("show running-config"))
        status, device = self.push(CONFIG, "--save")
        self.assertEqual((status, device["state"], device["applied"]), (0, "changed", 5), device)
        self.assertTrue(device["saved"])
        for shown in (self.show("show running-config"), Path(ENV["FRR_SAVED"]).read_text()):
            for line in ("interface lo\n description set-by-muster\n", "router bgp 65001\n",
                         " neighbor 192.0.2.2 remote-as 65002\n"):
                self.assertIn(line, shown)

    def test_2_the_same_lines_again_change_nothing(self):
        status, device = self.push(CONFIG)
        self.assertEqual((status, device["state"]), (0, "unchanged"), device)

    def test_3_a_refused_line_stops_the_push(self):
        status, device = self.push("interface lo\n descriptoin wrong\nrouter bgp 65009\n", "--save")
        self.assertEqual((status, device["state"], device["applied"]), (1, "failed", 1), device)
        self.assertEqual(device["line"], 2)
        self.assertIn("Unknown command", device["words"])
        self.assertFalse(device["saved"])
        self.assertNotIn("65009", self.show("show running-config"))

    def test_4_a_key_logs_in_too(self):
        inventory = self.folder / "key.yaml"
        inventory.write_text(f"- name: frr1\n  device_type: frr\n  host: {ENV['FRR_HOST']}\n"
                             f"  port: {ENV['FRR_PORT']}\n  username: {ENV['FRR_USER']}\n"
                             f"  key_file: {ENV['FRR_KEY']}\n  use_keys: true\n")
        status, device = self.push(CONFIG, inventory=inventory)
        self.assertEqual((status, device["state"]), (0, "unchanged"), device)


if __name__ == "__main__":
    unittest.main(verbosity=2)
