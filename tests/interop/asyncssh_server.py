"""An AsyncSSH server: asyncssh_server.py PORT HOST_KEY USER_KEY.pub USER PASSWORD [OPTION...]

Options: password, publickey, keyboard-interactive (only these ways to log in; default: all),
exec-once (ends the connection after one command, as some network devices do).
"""

import asyncio
import sys

import asyncssh

PORT, HOST_KEY, USER_KEY, USER, PASSWORD, *OPTIONS = sys.argv[1:]
WAYS = [w for w in OPTIONS if w in ("password", "publickey", "keyboard-interactive")]


class Device(asyncssh.SSHServer):
    def connection_made(self, connection):
        self.connection = connection

    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return not WAYS or "publickey" in WAYS

    def validate_public_key(self, username, key):
        return username == USER and key == asyncssh.read_public_key(USER_KEY)

    def password_auth_supported(self):
        return not WAYS or "password" in WAYS

    def validate_password(self, username, password):
        return (username, password) == (USER, PASSWORD)

    def kbdint_auth_supported(self):
        return not WAYS or "keyboard-interactive" in WAYS

    def get_kbdint_challenge(self, username, language, submethods):
        # Two questions: one whose answer is shown, and the secret.
        return "AAA", "Please log in", "", [("Location: ", True), ("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return username == USER and list(responses) == ["", PASSWORD]


async def command(process):
    words = process.command.split()
    if words[:1] == ["echo"]:
        process.stdout.write(process.command[5:] + "\n")
        process.stderr.write("to stderr\n")
        process.exit(3)
    elif words[:1] == ["signal"]:
        process.exit_with_signal("TERM", False, "by hand")
    elif words[:1] == ["large"]:
        for _ in range(int(words[1]) // 1000):
            process.stdout.write("x" * 1000)
            await process.stdout.drain()
        process.exit(0)
    elif words[:1] == ["cat"]:
        while data := await process.stdin.read(65536):
            process.stdout.write(data)
            await process.stdout.drain()
        process.exit(0)
    elif words[:1] == ["env"]:
        process.stdout.write("".join(f"{k}={v}\n" for k, v in process.env.items()))
        process.exit(0)
    else:
        process.stderr.write("unknown command\n")
        process.exit(127)


async def shell(process):
    width, height = process.term_size[:2]
    process.stdout.write(f"{process.term_type} {width}x{height}\r\nr1#")
    try:
        async for line in process.stdin:
            process.stdout.write(f"you said {line.strip()}\r\nr1#")
    except asyncssh.BreakReceived:
        pass
    process.exit(0)


async def session(process):
    try:
        await (command(process) if process.command is not None else shell(process))
    except (asyncssh.Error, OSError) as error:
        print("session:", error, file=sys.stderr)
    if "exec-once" in OPTIONS:
        await process.wait_closed()
        process.channel.get_connection().close()


async def main():
    await asyncssh.create_server(Device, "127.0.0.1", int(PORT), server_host_keys=[HOST_KEY],
                                 process_factory=session, line_editor=False,
                                 sftp_factory=True)
    print("listening", flush=True)
    await asyncio.Event().wait()


try:
    asyncio.run(main())
except OSError as error:
    sys.exit(f"cannot listen: {error}")
