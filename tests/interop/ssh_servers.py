"""SSH servers of other people on loopback, for the tests beside this file.

Each server is a process (or a process namespace) of its own, ended by its number. Those that need
an account with a password run in a mount namespace with files of their own over /etc/passwd and the
like, so that nothing of the machine changes; that takes root.
"""

import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIENT = Path(os.environ["MUSTER_BIN"]) / "interop_ssh_client"
USER = "netops"
PASSWORD = "correct horse"
PATIENCE = 30


def skip(reason):
    """Skips the test; where everything has to be there, it is a failure."""
    if os.environ.get("MUSTER_REQUIRE_INTEROP") == "1":
        raise AssertionError(reason)
    raise unittest.SkipTest(reason)


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        skip(f"{name} is missing; scripts/install-deps.sh --tests installs it")
    return path


def need_namespaces():
    if os.geteuid() != 0:
        skip("needs root, for an account with a password")
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True)
    if done.returncode != 0:
        skip("may not make namespaces here (CAP_SYS_ADMIN)")


def python_with(module):
    """The interpreter that the system's packages belong to need not be the first in PATH."""
    for interpreter in ("/usr/bin/python3", sys.executable):
        done = subprocess.run([interpreter, "-W", "ignore", "-c", f"import {module}"],
                              capture_output=True)
        if done.returncode == 0:
            return interpreter
    skip(f"the Python module {module} is missing; scripts/install-deps.sh --tests installs it")


def keygen(kind, path):
    subprocess.run([program("ssh-keygen"), "-q", "-t", kind, "-N", "", "-C", "", "-f", path],
                   check=True)
    return Path(path)


def big_file(folder, size):
    path = Path(folder) / f"data-{size}"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


class Server:
    """A folder with keys, a process and its log."""

    host_key_type = "ed25519"

    def __init__(self):
        self._holder = tempfile.TemporaryDirectory(prefix="muster-ssh-")
        self.folder = Path(self._holder.name)
        self.folder.chmod(0o755)
        self.key = keygen("ed25519", self.folder / "id_ed25519")
        self.host_key = keygen(self.host_key_type, self.folder / "host_key")
        self.user = USER
        self.port = 0
        self.process = None
        self.log_file = self.folder / "log"

    def launch(self, command, ready):
        """Starts a server that takes the port as an argument until one comes up on it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.port = random.randint(20000, 29999)
            if self.listening(self.port):
                continue
            with open(self.log_file, "wb") as log:
                self.process = subprocess.Popen(command(self.port), stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log, start_new_session=True)
            while self.process.poll() is None and time.monotonic() < deadline:
                if ready(self.port):
                    self._trust()
                    return
                time.sleep(0.02)
            self.stop()
        raise AssertionError(f"{type(self).__name__} did not come up:\n{self.log()}")

    def listening(self, port):
        """Whether somebody listens there."""
        local = f"0100007F:{port:04X}"
        return any(line.split()[1] == local and line.split()[3] == "0A"
                   for line in Path("/proc/net/tcp").read_text().splitlines()[1:])

    def in_namespace(self, command):
        """The command with an account of its own, as the first process of its namespaces."""
        files = self.folder / "etc"
        if not files.exists():
            files.mkdir()
            home = self.folder / "home"
            (home / ".ssh").mkdir(parents=True)
            shutil.copy(f"{self.key}.pub", home / ".ssh" / "authorized_keys")
            for path in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
                os.chown(path, 61000, 61000)
                path.chmod(0o700 if path.is_dir() else 0o600)
            hashed = subprocess.run([program("openssl"), "passwd", "-6", "-stdin"], check=True,
                                    input=PASSWORD, capture_output=True, text=True).stdout.strip()
            for name, line in (("passwd", f"{USER}:x:61000:61000::{home}:/bin/sh"),
                               ("group", f"{USER}:x:61000:"),
                               ("shadow", f"{USER}:{hashed}:19000:0:99999:7:::")):
                shutil.copy2(f"/etc/{name}", files / name)
                with open(files / name, "a") as out:
                    out.write(line + "\n")
            (files / "sshd").write_text("auth required pam_unix.so nodelay\n"
                                        "account required pam_permit.so\n"
                                        "session required pam_permit.so\n")
        mounts = "".join(f"mount --bind {files / name} /etc/{name}; "
                         for name in ("passwd", "group", "shadow"))
        if Path("/etc/pam.d/sshd").exists():
            mounts += f"mount --bind {files / 'sshd'} /etc/pam.d/sshd; "
        return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork",
                "--kill-child", "--", "sh", "-ec", mounts + 'exec "$@"', "sh", *command]

    def _trust(self):
        kind, blob = Path(f"{self.host_key}.pub").read_text().split()[:2]
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {blob}\n")

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        self._holder.cleanup()


class OpenSsh(Server):
    """sshd with more configuration; with an account, it takes passwords."""

    def __init__(self, config="", host_key_type="ed25519", account=False):
        self.host_key_type = host_key_type
        super().__init__()
        sshd = program("sshd")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        if account:
            need_namespaces()
        else:
            self.user = pwd.getpwuid(os.getuid()).pw_name
            shutil.copy(f"{self.key}.pub", self.folder / "authorized_keys")
        keys = ".ssh/authorized_keys" if account else self.folder / "authorized_keys"
        # Of several lines for one thing, sshd takes the first.
        settings = (f"{config}\nHostKey {self.host_key}\nAuthorizedKeysFile {keys}\n"
                    "PidFile none\nStrictModes no\nPermitRootLogin yes\nUsePAM no\n"
                    "PrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\nMaxStartups 100\n")
        self.config = self.folder / "config"
        self.config.write_text(settings + "PerSourcePenalties no\n")
        if subprocess.run([sshd, "-t", "-f", self.config], capture_output=True).returncode != 0:
            self.config.write_text(settings)  # before OpenSSH 9.8

        def command(port):
            # Not -e: what it logs for a session would go to the client.
            plain = [sshd, "-D", "-E", str(self.log_file), "-f", str(self.config),
                     "-o", f"ListenAddress 127.0.0.1:{port}"]
            return self.in_namespace(plain) if account else plain

        self.launch(command, lambda port: "Server listening on" in self.log())


class Dropbear(Server):
    def __init__(self):
        dropbear = program("dropbear")
        need_namespaces()
        super().__init__()
        converted = self.folder / "dropbear_key"
        subprocess.run([program("dropbearconvert"), "openssh", "dropbear", self.host_key, converted],
                       check=True, capture_output=True)
        self.launch(lambda port: self.in_namespace(
            [dropbear, "-F", "-E", "-p", f"127.0.0.1:{port}", "-r", str(converted), "-P",
             str(self.folder / "pid")]), self.listening)


class PythonServer(Server):
    """A script beside this file, on the interpreter that has its module."""

    def __init__(self, module, *options):
        interpreter = python_with(module)
        super().__init__()
        self.launch(lambda port: [interpreter, "-W", "ignore", str(HERE / f"{module}_server.py"),
                                  str(port), str(self.host_key), f"{self.key}.pub", USER, PASSWORD,
                                  *options], lambda port: "listening" in self.log())


class Case(unittest.TestCase):
    """Runs the client against a server; on failure, both sides' words are shown."""

    def serve(self, make, *arguments, **options):
        server = make(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def ask(self, server, *steps, how="key", answers="", status=0, legacy=False, jump=None):
        """What the client prints for the steps: a list, the facts of the connection first."""
        command = [CLIENT, "127.0.0.1", str(server.port), server.user,
                   "--known-hosts", server.known_hosts]
        environment = dict(os.environ)
        environment.pop("SSH_AUTH_SOCK", None)
        if how == "key":
            command += ["--key", server.key]
        for way, option, secret in (("password", "--password-env", PASSWORD),
                                    ("wrong password", "--password-env", "wrong " + PASSWORD),
                                    ("answers", "--answers-env", answers)):
            if how == way:
                command += [option, "INTEROP_SECRET"]
                environment["INTEROP_SECRET"] = secret
        if legacy:
            command.append("--legacy")
        if jump is not None:
            known = Path(server.folder) / "known_both"
            known.write_text(server.known_hosts.read_text() + jump.known_hosts.read_text())
            command[command.index(server.known_hosts)] = known
            command += ["--jump", str(jump.port)]
        command += ["--", *[str(word) for step in steps for word in step]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True,
                              timeout=2 * PATIENCE)
        said = (f"\n--- client: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
                f"\n--- server:\n{server.log()[-6000:]}")
        self.assertEqual(done.returncode, status, said)
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        self.said = said
        return [json.loads(line) for line in done.stdout.splitlines()]

    def move_files(self, server, size=2_000_000):
        """A file there and back by SFTP."""
        data = big_file(server.folder, size)
        there = server.folder / "home" / "there"
        there.parent.mkdir(exist_ok=True)
        back = server.folder / "back"
        _, put, got, listed = self.ask(server, ("put", data, there), ("get", there, back),
                                       ("list", there.parent))
        self.assertEqual((put["bytes"], got["bytes"]), (size, size), self.said)
        self.assertTrue(back.read_bytes() == data.read_bytes(), self.said)
        self.assertIn("there", listed["names"], self.said)


def main():
    """Ends with 77, which ctest reports as skipped, when every test was."""
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if len(result.skipped) == result.testsRun else 0)
