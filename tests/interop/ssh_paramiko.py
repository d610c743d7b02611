"""The ssh room against a paramiko server (paramiko_server.py)."""

from ssh_servers import PASSWORD, Case, PythonServer, big_file, main


class Tests(Case):
    def test_commands_and_shells(self):
        server = self.serve(PythonServer, "paramiko")
        facts, one, shell, several, named = self.ask(
            server, ("run", "echo out"), ("shell", "hello\n", "you said hello"),
            ("together", 5, "echo {}"), ("env", "NAME=r1", "env"))
        self.assertIn("paramiko", facts["server"], self.said)
        self.assertEqual((one["out"], one["err"], one["status"]), ("out\n", "to stderr\n", 3),
                         self.said)
        self.assertIn("vt100 200x24\r\nr1#", shell["seen"], self.said)
        self.assertEqual([each["out"] for each in several], [f"{i}\n" for i in range(5)], self.said)
        self.assertIn("NAME=r1\n", named["out"], self.said)

    def test_large_transfers(self):
        server = self.serve(PythonServer, "paramiko")
        data = big_file(server.folder, 1_000_000)
        back = server.folder / "back"
        _, large, echoed = self.ask(server, ("receive", server.folder / "large", "large 1000000"),
                                    ("feed", data, back, "cat"))
        self.assertEqual((large["status"], echoed["status"]), (0, 0), self.said)
        self.assertEqual((server.folder / "large").stat().st_size, 1_000_000, self.said)
        self.assertTrue(back.read_bytes() == data.read_bytes(), self.said)

    def test_each_way_to_log_in(self):
        for way, how in (("publickey", "key"), ("password", "password"),
                         ("keyboard-interactive", "password"), ("keyboard-interactive", "answers")):
            with self.subTest(way=way, how=how):
                server = self.serve(PythonServer, "paramiko", way)
                _, one = self.ask(server, ("run", "echo in"), how=how, answers=PASSWORD)
                self.assertEqual(one["out"], "in\n", self.said)
                if how == "password":
                    [error] = self.ask(server, how="wrong password", status=1)
                    self.assertEqual(error["kind"], "authentication", self.said)


if __name__ == "__main__":
    main()
