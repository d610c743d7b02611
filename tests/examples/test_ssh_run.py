"""ssh-run as a user runs it: against a virtual fleet, and against OpenSSH where it is installed."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from support import BIN, Case, Result

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class SshRun(Case):
    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [BIN / "ssh-run", *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": str(self.folder), "SSH_AUTH_SOCK": "", **environment})

    def ssh_run(self, *arguments, **environment):
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return Result(process.returncode, out, err)

    def assert_run(self, result, status, out=None):
        self.assertEqual(result.status, status, result)
        if out is not None:
            self.assertEqual(result.out, out, result)


class VirtualDevices(SshRun):
    def configure(self, fleet):
        """A configuration that calls the devices r1, r2, ..."""
        blocks = []
        for line in fleet.known_hosts.read_text().splitlines():
            address, port = line.split()[0].removeprefix("[").split("]:")
            blocks.append(f"Host r{len(blocks) + 1}\n  HostName {address}\n  Port {port}\n")
        return self.write("ssh_config", f"{''.join(blocks)}Host *\n  User admin\n"
                                        f"  UserKnownHostsFile {fleet.known_hosts}\n")

    def run_on_fleet(self, *arguments):
        return self.ssh_run("-F", "ssh_config", "--password-from", "env:PASSWORD", *arguments,
                            PASSWORD="admin")

    def test_each_line_has_its_host_in_front(self):
        self.configure(self.fleet(3))
        result = self.run_on_fleet("r1", "r2", "r3", "--", "show", "version")
        self.assert_run(result, 0)
        lines = result.out.splitlines()
        for host in ("r1", "r2", "r3"):
            mine = [line for line in lines if line.startswith(host + ": ")]
            self.assertIn("Cisco IOS Software", mine[0])
            # Printed as a block.
            first = lines.index(mine[0])
            self.assertEqual(lines[first:first + len(mine)], mine)
        self.assertNotIn("\r", result.out)
        self.assertIn("3 hosts: 3 ok, 0 failed, 0 without result; ", result.err)

    def test_a_host_that_fails_is_named_and_the_others_go_on(self):
        self.configure(self.fleet(3, "--fault", "r2=reject-login", "--fault",
                                  "r3=wrong-host-key"))
        result = self.run_on_fleet("r1", "r2", "r3", "--", "show clock")
        self.assert_run(result, 1)
        self.assertTrue(result.out.startswith("r1: "), result)
        self.assertRegex(result.err, r"r2: .*: authentication: user 'admin' was refused")
        self.assertRegex(result.err, r"r3: .*: host key: the host key has changed")
        self.assertIn("3 hosts: 1 ok, 0 failed, 2 without result; ", result.err)

    def test_a_device_that_is_silent_is_given_up(self):
        self.configure(self.fleet(2, "--fault", "r2=hang-after-key-exchange"))
        result = self.run_on_fleet("--timeout", 2, "r1", "r2", "--", "show clock")
        self.assert_run(result, 1)
        self.assertRegex(result.err, r"r2: .*: authentication: timed out after 2 s in all")
        self.assertIn("2 hosts: 1 ok, 0 failed, 1 without result; ", result.err)

    def test_no_more_at_once_than_told(self):
        fleet = self.fleet(10, "--latency", "200ms")
        self.configure(fleet)
        hosts = [f"r{i}" for i in range(1, 11)]
        self.assert_run(self.run_on_fleet("--max-at-once", 2, *hosts, "--", "show clock"), 0)
        # The fleet may see the end of two after the beginning of the next.
        self.assertLessEqual(fleet.stop(), 4)

    def test_new_keys_are_refused_and_accepted_where_told(self):
        self.configure(self.fleet(1))
        refused = self.run_on_fleet("--known-hosts", "new", "r1", "--", "show clock")
        self.assert_run(refused, 1, "")
        self.assertIn("the host key is not known", refused.err)
        accepted = self.run_on_fleet("--known-hosts", "new", "--accept-new", "r1", "--", "show clock")
        self.assert_run(accepted, 0)
        again = self.run_on_fleet("--known-hosts", "new", "r1", "--", "show clock")
        self.assert_run(again, 0)

    def test_users_and_passwords(self):
        fleet = self.fleet(1, "--username", "ops", "--password", "from a file")
        self.configure(fleet)
        self.write("password", "from a file\n")
        asked = ("-F", "ssh_config", "--password-from", "file:password")
        self.assert_run(self.ssh_run(*asked, "r1", "--", "show clock"), 1)
        self.assert_run(self.ssh_run(*asked, "--user", "ops", "r1", "--", "show clock"), 0)
        self.assert_run(self.ssh_run(*asked, "--user", "x", "ops@r1", "--", "show clock"), 0)
        self.assert_run(self.ssh_run(*asked, "--user", "ops", "ssh://r1", "--", "show clock"), 0)


class Input(SshRun):
    def assert_refused(self, result, *words):
        self.assert_run(result, 2, "")
        for word in words:
            self.assertIn(word, result.err)

    def test_help(self):
        result = self.ssh_run("--help")
        self.assert_run(result, 0)
        for word in ("HOST... -- COMMAND", "--max-at-once", "Exit status"):
            self.assertIn(word, result.out)
        self.assertRegex(self.ssh_run("--version").out, r"^ssh-run \d")

    def test_what_is_missing(self):
        self.assert_refused(self.ssh_run("r1"), "a command is missing", "nothing was sent")
        self.assert_refused(self.ssh_run("r1", "--"), "a command is missing")
        self.assert_refused(self.ssh_run("--", "uptime"), "HOST")

    def test_wrong_options(self):
        for wrong in (("--max-at-once", 0), ("--timeout", "soon"), ("--timeout", 0), ("--passwd", "x")):
            self.assert_refused(self.ssh_run(*wrong, "r1", "--", "uptime"), wrong[0])
        self.assert_refused(self.ssh_run("--password-from", "admin", "r1", "--", "x"),
                            "env:NAME, file:PATH or prompt")
        self.assert_refused(self.ssh_run("--password-from", "prompt", "r1", "--", "x"), "terminal")

    def test_ctrl_c(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.write("config", f"Host r1\n  HostName 127.0.0.1\n  Port {silent.getsockname()[1]}\n")
            process = self.start("-F", "config", "r1", "--", "uptime")
            silent.settimeout(60)
            connection, _ = silent.accept()  # it is at work now
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            connection.close()
        self.assert_run(Result(process.returncode, out, err), 130, "")
        self.assertIn("interrupted", err)

    def test_a_configuration_that_makes_no_sense(self):
        self.write("wrong", "Host r1\n  Port many\n")
        self.assert_refused(self.ssh_run("-F", "wrong", "r1", "--", "uptime"), "wrong:2", "port")

    def test_lines_without_effect_are_listed_when_asked_for(self):
        self.write("config", "Host r1\n  HostName 127.0.0.1\n  Port 1\n  ForwardX11 yes\n")
        quiet = self.ssh_run("-F", "config", "r1", "--", "uptime")
        self.assert_run(quiet, 1, "")
        self.assertNotIn("config:4", quiet.err)
        told = self.ssh_run("-F", "config", "-v", "r1", "--", "uptime")
        self.assertIn("config:4: 'forwardx11' is not supported", told.err)


@unittest.skipUnless(SSHD and shutil.which("ssh-keygen"), "no sshd on this machine")
class OpenSsh(SshRun):
    def setUp(self):
        super().setUp()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key],
                           check=True)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        sshd_config = self.write(
            "sshd_config", f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host\n"
                           f"AuthorizedKeysFile {self.folder}/authorized_keys\nPidFile none\n"
                           "UsePAM no\nStrictModes no\nPermitRootLogin yes\n")
        self.server = subprocess.Popen([SSHD, "-D", "-e", "-f", sshd_config],
                                       stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop_server)
        log = []
        for line in self.server.stderr:
            log.append(line)
            if "Server listening" in line:
                break
        else:
            self.fail("sshd did not start: " + "".join(log))
        host_key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        self.write("known_hosts", f"[127.0.0.1]:{self.port} {host_key}\n")
        self.write("ssh_config", "Host a b bastion\n  HostName 127.0.0.1\n"
                                 f"  Port {self.port}\n  User {getpass.getuser()}\n"
                                 f"  IdentityFile {self.folder}/user\n"
                                 f"  UserKnownHostsFile {self.folder}/known_hosts\n"
                                 "Host b\n  ProxyJump bastion\n")

    def stop_server(self):
        """What it has logged."""
        if self.server.returncode is not None:
            return ""
        self.server.terminate()
        return self.server.communicate(timeout=60)[1]

    def test_output_and_errors_of_hosts_one_of_them_behind_another(self):
        result = self.ssh_run("-F", "ssh_config", "a", "b", "--", "echo out; echo err >&2")
        self.assert_run(result, 0)
        self.assertEqual(sorted(result.out.splitlines()), ["a: out", "b: out"], result)
        self.assertIn("a: err\n", result.err)
        self.assertIn("b: err\n", result.err)
        log = self.stop_server()
        self.assertEqual(log.count("Accepted publickey"), 3, log)  # the jump host's, too

    def test_a_command_that_fails(self):
        result = self.ssh_run("-F", "ssh_config", "a", "--", "echo", "before;", "exit", "3")
        self.assert_run(result, 1, "a: before\n")
        self.assertIn("a: exit status 3\n", result.err)
        self.assertIn("1 host: 0 ok, 1 failed, 0 without result; ", result.err)

    def test_a_command_that_a_signal_ends(self):
        result = self.ssh_run("-F", "ssh_config", "a", "--", "kill -TERM $$")
        self.assert_run(result, 1, "")
        self.assertIn("a: ended by signal TERM\n", result.err)

    def test_a_command_that_does_not_end(self):
        result = self.ssh_run("-F", "ssh_config", "--timeout", 2, "a", "--", "sleep 60")
        self.assert_run(result, 1, "")
        self.assertRegex(result.err, r"a: .*: command: 'sleep 60' did not end within \d+ ms")

