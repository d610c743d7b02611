"""An SSH server on AsyncSSH for tests: what it asks of a user depends on the user's name.

Listens on a free port of 127.0.0.1, writes the port to the file that is named as its argument, and
runs until it is killed.
"""
import asyncio
import sys
import warnings

warnings.simplefilter("ignore")  # old ciphers, when AsyncSSH is loaded
import asyncssh  # noqa: E402


class Server(asyncssh.SSHServer):
    def connection_made(self, conn):
        self.conn = conn
        self.round = 0

    def begin_auth(self, username):
        self.username = username
        if username == "greeted":
            for line in ("Unauthorised access\x07 is prohibited.\r\n" * 200, "", "\x00"):
                self.conn.send_auth_banner(line)
        return True

    def public_key_auth_supported(self):
        return self.username == "keyed"

    def validate_public_key(self, username, key):
        return True

    def password_auth_supported(self):
        return self.username not in ("asked", "keyed")

    def validate_password(self, username, password):
        if username == "greeted":
            return password == "old"
        if password == "old":
            raise asyncssh.PasswordChangeRequired("Your password has expired.")
        return False

    def change_password(self, username, old_password, new_password):
        if username == "strict":
            raise asyncssh.PasswordChangeRequired("Too short.")
        return username == "expired" and (old_password, new_password) == ("old", "new")

    def kbdint_auth_supported(self):
        return self.username == "asked"

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Login", "First who, then what", "", [("User: ", True), ("PIN: ", False)]

    def validate_kbdint_response(self, username, responses):
        self.round += 1
        if self.round == 1:
            if responses != ["ops", "1234"]:
                return False
            return "", "", "", [("Token: ", False)]
        if self.round == 2:
            if responses != ["567"]:
                return False
            return "", "Your last login was yesterday.", "", []
        return responses == []


def handle(process):
    process.stdout.write(f"hello {process.get_extra_info('username')}\n")
    process.exit(0)


async def main():
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, process_factory=handle,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        signature_algs=["ssh-ed25519"])
    with open(sys.argv[1], "w", encoding="ascii") as port:
        port.write(str(server.sockets[0].getsockname()[1]))
    await asyncio.Event().wait()


asyncio.run(main())
