"""Bad input: named by file, line and field, exit status 2, and nothing is sent."""

from support import Case

CONFIG = "ntp server 10.9.9.9\n"


class Input(Case):
    def refused(self, *words, arguments=("devices.yaml", "c.cfg", "--known-hosts", "known_hosts")):
        result = self.push(*arguments)
        self.assertEqual(result.status, 2, result)
        self.assertEqual(result.out, "")
        for word in words:
            self.assertIn(word, result.err)
        return result

    def setUp(self):
        super().setUp()
        self.virtual = self.fleet(2)
        self.inventory = self.virtual.inventory.read_text()
        self.write("c.cfg", CONFIG)

    def tearDown(self):
        self.assertEqual(self.virtual.stop(), 0, "a connection was made")
        super().tearDown()

    def test_an_unknown_field(self):
        self.write("devices.yaml", self.inventory.replace("  host:", "  hots:", 1))
        self.refused("devices.yaml:4:3", "r1.hots", "did you mean 'host'", "nothing was sent")

    def test_an_inventory_that_is_not_there(self):
        self.refused("nowhere.yaml", "No such file",
                     arguments=("nowhere.yaml", "c.cfg"))

    def test_an_unknown_platform(self):
        self.write("devices.yaml", self.inventory.replace("cisco_ios", "cisco_iso", 1))
        self.refused("devices.yaml:3", "cisco_iso", "cisco_ios")

    def test_a_port_out_of_range(self):
        self.write("devices.yaml", self.inventory.replace("  port: ", "  port: 9", 1))
        self.refused("devices.yaml:5", "port")

    def test_a_device_named_twice(self):
        self.write("devices.yaml", self.inventory.replace('"r2"', '"r1"'))
        self.refused("devices.yaml:", "r1")

    def test_an_environment_variable_that_is_not_set(self):
        self.write("devices.yaml",
                   self.inventory.replace('password: "admin"', "password: env:MUSTER_NOT_SET", 1))
        self.refused("devices.yaml:7", "MUSTER_NOT_SET")

    def test_a_configuration_file_that_is_not_there(self):
        self.refused("nowhere.cfg", "No such file", arguments=("devices.yaml", "nowhere.cfg"))

    def test_a_banner_without_an_end(self):
        self.write("c.cfg", "ntp server 10.0.0.1\nbanner motd ^\nno end\n")
        self.refused("c.cfg:2", "banner")

    def test_a_filter_that_matches_nothing_or_is_misspelt(self):
        arguments = ["devices.yaml", "c.cfg", "--filter"]
        self.refused("no device is called 'r9'", arguments=(*arguments, "name:r9"))
        self.refused("no device matches", arguments=(*arguments, "name:r1 and name:r2"))
        self.refused("nmae", arguments=(*arguments, "nmae:r1"))

    def test_more_at_once_than_the_system_lets_it_open(self):
        result = self.push("devices.yaml", "c.cfg", "--known-hosts", "known_hosts", descriptors=32)
        self.assertEqual(result.status, 2, result)
        for word in ("2 devices at once (--max-at-once)", "may open 32", "ulimit -Hn",
                     "nothing was sent"):
            self.assertIn(word, result.err)

    def test_wrong_usage(self):
        self.refused("CONFIG", arguments=("devices.yaml",))
        self.refused("--max-at-once", arguments=("devices.yaml", "c.cfg", "--max-at-once", "0"))
        self.refused("--timeout", arguments=("devices.yaml", "c.cfg", "--timeout", "soon"))
        self.refused("env:NAME", arguments=("devices.yaml", "c.cfg", "--password-from", "hunter2"))


class Help(Case):
    def test_help_and_version(self):
        result = self.push("--help")
        self.assertEqual(result.status, 0)
        for word in ("INVENTORY", "--save", "--max-at-once", "Exit status", "Examples"):
            self.assertIn(word, result.out)
        self.assertRegex(self.push("--version").out, r"^config-push \d+\.\d+\.\d+")
