"""The ssh room against dropbear, which sits in many small devices."""

from ssh_servers import Case, Dropbear, big_file, main


class Tests(Case):
    def test_commands_and_shells(self):
        server = self.serve(Dropbear)
        facts, one, shell, several = self.ask(
            server, ("run", "echo out; echo err >&2; exit 3"),
            ("shell", "stty -echo; echo size: $(stty size); exit\n", "size: 24 200"),
            ("together", 5, "echo {}; sleep 0.1"))
        self.assertIn("dropbear", facts["server"], self.said)
        self.assertEqual((one["out"], one["err"], one["status"]), ("out\n", "err\n", 3), self.said)
        self.assertIn("size: 24 200", shell["seen"], self.said)
        self.assertEqual([each["out"] for each in several], [f"{i}\n" for i in range(5)], self.said)

    def test_large_transfers(self):
        server = self.serve(Dropbear)
        data = big_file(server.folder, 3_000_000)
        back = server.folder / "back"
        _, echoed = self.ask(server, ("feed", data, back, "cat"))
        self.assertEqual(echoed["status"], 0, self.said)
        self.assertTrue(back.read_bytes() == data.read_bytes(), self.said)

    def test_files(self):
        # dropbear has no SFTP of its own: it starts OpenSSH's.
        self.move_files(self.serve(Dropbear))

    def test_a_password_and_a_signal(self):
        server = self.serve(Dropbear)
        _, who, killed = self.ask(server, ("run", "whoami"), ("run", "kill -TERM $$"),
                                  how="password")
        self.assertEqual(who["out"], server.user + "\n", self.said)
        self.assertEqual(killed["signal"], "TERM", self.said)
        [error] = self.ask(server, how="wrong password", status=1)
        self.assertEqual(error["kind"], "authentication", self.said)


if __name__ == "__main__":
    main()
