"""A paramiko server: paramiko_server.py PORT HOST_KEY USER_KEY.pub USER PASSWORD [OPTION...]

Options: password, publickey, keyboard-interactive: only these ways to log in; default: all.
"""

import base64
import hmac
import socket
import sys
import threading

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

PORT, HOST_KEY, USER_KEY, USER, PASSWORD, *OPTIONS = sys.argv[1:]
WAYS = [w for w in OPTIONS if w in ("password", "publickey", "keyboard-interactive")]
KNOWN_KEY = base64.b64decode(open(USER_KEY).read().split()[1])


class Device(paramiko.ServerInterface):
    def __init__(self):
        self.terminals = {}
        self.environment = {}

    def get_allowed_auths(self, username):
        return ",".join(WAYS or ["publickey", "password", "keyboard-interactive"])

    def check_auth_publickey(self, username, key):
        good = "publickey" in self.get_allowed_auths(username) and key.asbytes() == KNOWN_KEY
        return AUTH_SUCCESSFUL if good and username == USER else AUTH_FAILED

    def check_auth_password(self, username, password):
        good = hmac.compare_digest(password, PASSWORD) and username == USER
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("AAA", "Please log in", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        return AUTH_SUCCESSFUL if list(responses) == [PASSWORD] else AUTH_FAILED

    def check_channel_request(self, kind, channel_id):
        return OPEN_SUCCEEDED

    def check_channel_env_request(self, channel, name, value):
        self.environment[name.decode()] = value.decode()
        return True

    def check_channel_pty_request(self, channel, term, width, height, *_):
        self.terminals[channel.get_id()] = f"{term.decode()} {width}x{height}"
        return True

    def check_channel_shell_request(self, channel):
        threading.Thread(target=self.shell, args=(channel,), daemon=True).start()
        return True

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel, command.decode()), daemon=True).start()
        return True

    def shell(self, channel):
        channel.sendall(f"{self.terminals.get(channel.get_id(), 'no terminal')}\r\nr1#")
        line = b""
        while data := channel.recv(1000):
            line += data
            while b"\n" in line:
                said, line = line.split(b"\n", 1)
                channel.sendall(b"you said " + said.strip() + b"\r\nr1#")
        channel.close()

    def run(self, channel, command):
        words = command.split()
        status = 0
        if words[:1] == ["echo"]:
            channel.sendall(command[5:] + "\n")
            channel.sendall_stderr("to stderr\n")
            status = 3
        elif words[:1] == ["large"]:
            for _ in range(int(words[1]) // 1000):
                channel.sendall(b"x" * 1000)
        elif words[:1] == ["cat"]:
            while data := channel.recv(65536):
                channel.sendall(data)
        elif words[:1] == ["env"]:
            channel.sendall("".join(f"{k}={v}\n" for k, v in self.environment.items()))
        else:
            status = 127
        channel.send_exit_status(status)
        channel.close()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(PORT)))
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
    listener.listen(100)
    print("listening", flush=True)
    key = paramiko.Ed25519Key.from_private_key_file(HOST_KEY)
    transports = []
    while True:
        connection, _ = listener.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.start_server(server=Device(), event=threading.Event())
        transports.append(transport)


main()
