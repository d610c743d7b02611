"""The ssh room against OpenSSH's sshd, in several configurations."""

import ctypes

from ssh_servers import PASSWORD, Case, OpenSsh, big_file, main


def libssh2():
    library = ctypes.CDLL("libssh2.so.1")
    library.libssh2_version.restype = ctypes.c_char_p
    return tuple(int(part) for part in library.libssh2_version(0).decode().split(".")[:2])


class Default(Case):
    def test_commands_and_shells(self):
        server = self.serve(OpenSsh, "AcceptEnv INTEROP_*")
        facts, one, shell, several, named = self.ask(
            server, ("run", "echo out; echo err >&2; exit 3"),
            ("shell", "stty -echo; echo size: $(stty size)\n", "size: 24 200"),
            ("together", 8, "echo {}; sleep 0.1"), ("env", "INTEROP_NAME=r1", "echo $INTEROP_NAME"))
        self.assertTrue(facts["server"].startswith("SSH-2.0-OpenSSH"), self.said)
        self.assertEqual((one["out"], one["err"], one["status"]), ("out\n", "err\n", 3), self.said)
        self.assertIn("size: 24 200", shell["seen"], self.said)
        self.assertEqual([each["out"] for each in several], [f"{i}\n" for i in range(8)], self.said)
        self.assertEqual(named["out"], "r1\n", self.said)

    def test_files(self):
        self.move_files(self.serve(OpenSsh, "Subsystem sftp internal-sftp"))

    def test_through_a_jump_host(self):
        jump = self.serve(OpenSsh, "LogLevel DEBUG1")
        server = self.serve(OpenSsh, f"AuthorizedKeysFile {jump.folder / 'authorized_keys'}")
        server.key = jump.key
        _, hello, large = self.ask(server, ("run", "echo hello"),
                                   ("run", "head -c 1000000 /dev/zero | wc -c; echo $SSH_CONNECTION"),
                                   jump=jump)
        self.assertEqual(hello["out"], "hello\n", self.said)
        self.assertTrue(large["out"].startswith("1000000\n127.0.0.1 "), self.said)
        self.assertIn("direct-tcpip", jump.log(), self.said)

    def test_the_end_by_a_signal_is_reported(self):
        server = self.serve(OpenSsh)
        _, killed = self.ask(server, ("run", "kill -TERM $$"))
        self.assertEqual((killed["status"], killed["signal"]), (None, "TERM"), self.said)

    def test_a_login_that_is_refused(self):
        server = self.serve(OpenSsh, account=True)
        [error] = self.ask(server, how="wrong password", status=1)
        self.assertEqual((error["kind"], error["phase"]), ("authentication",) * 2, self.said)

    def test_a_password(self):
        server = self.serve(OpenSsh, account=True)
        _, who = self.ask(server, ("run", "whoami"), how="password")
        self.assertEqual(who["out"], server.user + "\n", self.said)


class Variants(Case):
    def test_keys_are_renewed_within_large_transfers(self):
        server = self.serve(OpenSsh, "RekeyLimit 64K\nLogLevel DEBUG1")
        data = big_file(server.folder, 3_000_000)
        back = server.folder / "back"
        _, echoed, several = self.ask(server, ("feed", data, back, "cat"),
                                      ("together", 3, "head -c 300000 /dev/zero | wc -c"))
        self.assertEqual(echoed["status"], 0, self.said)
        self.assertTrue(back.read_bytes() == data.read_bytes(), self.said)
        self.assertEqual([each["out"] for each in several], ["300000\n"] * 3, self.said)
        self.assertGreater(server.log().count("rekey out after"), 20, self.said)

    def test_keys_are_renewed_while_files_move(self):
        server = self.serve(OpenSsh, "RekeyLimit 64K\nLogLevel DEBUG1\nSubsystem sftp internal-sftp")
        self.move_files(server, 1_000_000)
        self.assertGreater(server.log().count("rekey out after"), 10, self.said)

    def test_a_host_key_that_needs_rsa_sha2(self):
        server = self.serve(OpenSsh, "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256",
                            host_key_type="rsa")
        if libssh2() >= (1, 11):
            _, hello = self.ask(server, ("run", "echo hello"))
            self.assertEqual(hello["out"], "hello\n", self.said)
        else:
            [error] = self.ask(server, ("run", "echo hello"), status=1)
            self.assertEqual(error["kind"], "no common method", self.said)
            self.assertIn("the device offers rsa-sha2-512, rsa-sha2-256", error["reason"])
            self.assertIn("libssh2 1.10", error["remedy"])

    def test_keyboard_interactive_by_pam(self):
        server = self.serve(OpenSsh, "UsePAM yes\nPasswordAuthentication no\n"
                            "KbdInteractiveAuthentication yes\nPubkeyAuthentication no", account=True)
        _, who = self.ask(server, ("run", "whoami"), how="password")
        self.assertEqual(who["out"], server.user + "\n", self.said)
        _, who = self.ask(server, ("run", "whoami"), how="answers", answers=PASSWORD)
        self.assertEqual(who["out"], server.user + "\n", self.said)
        [error] = self.ask(server, how="wrong password", status=1)
        self.assertEqual(error["kind"], "authentication", self.said)
        self.assertIn("keyboard-interactive", error["reason"])

    def test_one_channel_only(self):
        server = self.serve(OpenSsh, "MaxSessions 1")
        _, _, refused = self.ask(server, ("hold",), ("try-shell",))
        self.assertIn("channel", refused["refused"], self.said)
        # Nor does the one before count any more when it has ended.
        _, *each = self.ask(server, *[("run", f"echo {i}") for i in range(5)])
        self.assertEqual([one["out"] for one in each], [f"{i}\n" for i in range(5)], self.said)

    def test_a_forced_command(self):
        server = self.serve(OpenSsh, 'ForceCommand echo "instead of: $SSH_ORIGINAL_COMMAND"')
        _, forced, shell = self.ask(server, ("run", "show version"), ("shell", "", "instead of:"))
        self.assertEqual(forced["out"], "instead of: show version\n", self.said)
        self.assertIn("instead of:", shell["seen"], self.said)

    def test_algorithms_that_only_legacy_has(self):
        server = self.serve(OpenSsh, "KexAlgorithms diffie-hellman-group16-sha512")
        [error] = self.ask(server, ("run", "echo hello"), status=1)
        self.assertEqual((error["kind"], error["phase"]), ("no common method", "key exchange"))
        self.assertIn("Algorithms::legacy", error["remedy"], self.said)
        _, hello = self.ask(server, ("run", "echo hello"), legacy=True)
        self.assertEqual(hello["out"], "hello\n", self.said)


if __name__ == "__main__":
    main()
