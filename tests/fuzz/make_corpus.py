#!/usr/bin/env python3
"""Writes the hand-made part of tests/fuzz/corpus: what real sessions and files look like, for the
fuzzer to vary. Inputs that broke something lie beside them, under names of their own."""

import base64
import pathlib
import struct
import subprocess
import tempfile

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def text(data):
    """As FuzzInput::text() takes it."""
    data = data if isinstance(data, bytes) else data.encode()
    return struct.pack(">H", len(data)) + data


def string(data):
    data = data if isinstance(data, bytes) else data.encode()
    return struct.pack(">I", len(data)) + data


def uint32(value):
    return struct.pack(">I", value)


ED25519 = string("ssh-ed25519") + string(bytes(range(32)))
# The generator of the curve (FIPS 186-4, D.1.2.3), as good a point as any.
NISTP256_POINT = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                               "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
ENCODED = base64.b64encode(ED25519).decode()


def known_hosts():
    def case(name, lines, host="r1.example", port=0):
        write("known_hosts", name, bytes([port]) + text(host) + text(ED25519) + lines.encode())

    key = f"ssh-ed25519 {ENCODED}"
    case("plain", f"# comment\nr1.example,192.0.2.1 {key} ops\n")
    case("port", f"[r1.example]:2222 {key}\r\nr1.example {key}", port=1)
    case("patterns", f"*.example,!r2.example {key}\n10.0.0.? {key}\n")
    case("hashed", f"|1|fFJ3bmdlYNn9SkSFUM8astzI8DY=|lZkSrJRWvim9+J5nem3yRaaFCOA= {key}\n")
    case("revoked", f"@revoked * {key}\nr1.example {key}\n")
    case("authority", f"@cert-authority *.example {key}\n")
    case("bad", f"r1\nr1 ssh-rsa {ENCODED}\n@x r1 {key}\n|2|a|b {key}\nr1 ssh-ed25519 AAAA\n")


def ssh_config():
    def case(name, lines, destination="ops@r1"):
        write("ssh_config", name, text(destination) + lines.encode())

    case("hosts", "Host r1 !r2 core-*\n  HostName %h.example\n  User=ops\n  Port 2222\n"
                  "Host *\n  IdentityFile ~/.ssh/%r-%n\n  UserKnownHostsFile /a \"/b c\" ${HOME}\n")
    case("jumps", "Host r1\n ProxyJump ssh://a@b:1,[::1]:2,c@d\nHost b\n ProxyJump e\n"
                  "Host e\n ProxyCommand nc\n ProxyJump none\n", "ssh://u%40v@r1:22/")
    case("match", "Match host *.example,!x user ops\n Port 1\nMatch !originalhost=r2 all\n Port 2\n"
                  "Match exec \"x\" canonical\n Port 3\nMatch localuser u\n")
    case("values", "StrictHostKeyChecking accept-new\nConnectTimeout 1w2d3h4m5s\n"
                   "ServerAliveInterval 0\nServerAliveCountMax 3\nHostKeyAlias k\n"
                   "GlobalKnownHostsFile none\nUserKnownHostsFile %C%d%h%i%k%L%l%n%p%r%u%%\n")
    case("quotes", "User 'a\\' \"b\" c\\ d\nUser \"\\\\\\\"\" # e\nPort \"\n")
    case("loop", "Host *\nProxyJump b\n")


def private_key():
    with tempfile.TemporaryDirectory() as folder:
        for kind, options in (("ed25519", []), ("ecdsa", []), ("rsa", ["-b", "1024"])):
            for form in ("openssh", "PEM", "PKCS8"):
                if (kind, form) == ("ed25519", "PEM"):
                    continue
                path = pathlib.Path(folder) / f"{kind}-{form}"
                command = ["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", "",
                           "-f", str(path)]
                subprocess.run(command + ([] if form == "openssh" else ["-m", form]), check=True)
                write("private_key", path.name, path.read_bytes())
        path = pathlib.Path(folder) / "encrypted"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-C", "",
                        "-f", str(path)], check=True)
        write("private_key", path.name, path.read_bytes())


def packet(payload):
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return uint32(1 + len(payload) + padding) + bytes([padding]) + payload + b"p" * padding


def kexinit(kex="curve25519-sha256", host_key="ssh-ed25519"):
    lists = [kex, host_key, "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256",
             "none", "none", "", ""]
    return b"\x14" + b"c" * 16 + b"".join(string(names) for names in lists) + b"\0" + uint32(0)


def before_auth():
    def case(name, stream, chunk=0):
        write("ssh_server_before_auth", name, bytes([chunk]) + stream)

    hello = b"SSH-2.0-test\r\n"
    reply = (b"\x1f" + string(ED25519) + string(b"\x09" + b"\0" * 31)
             + string(string("ssh-ed25519") + string(b"s" * 64)))
    case("banner-lines", b"Welcome\r\n" * 3 + hello)
    case("version-1", b"SSH-1.5-old\n")
    case("kexinit", hello + packet(kexinit()))
    case("kexinit-in-pieces", hello + packet(kexinit()), 3)
    case("reply", hello + packet(kexinit()) + packet(reply))
    ed25519 = string("ssh-ed25519")
    for name, key in {"huge-key-length": ed25519 + uint32(255) + bytes(32),
                      "short-key": ed25519 + uint32(32) + bytes(8),
                      "bytes-after-key": ED25519 + bytes(8)}.items():
        case(name, hello + packet(kexinit()) + packet(reply.replace(string(ED25519), string(key))))
    legacy = 0x80
    rsa = string("ssh-rsa") + string(b"\1\0\1") + string(b"\0" + b"\xc1" * 256)
    dss = string("ssh-dss") + b"".join(string(b"\0" + b"\xc1" * n) for n in (128, 20, 128, 128))
    ecdsa = (string("ecdsa-sha2-nistp256") + string("nistp256")
             + string(b"\4" + NISTP256_POINT))
    for name, algorithm, key, size in (("rsa-key", "rsa-sha2-512", rsa, 256),
                                       ("old-rsa-key", "ssh-rsa", rsa, 256),
                                       ("dss-key", "ssh-dss", dss, 40),
                                       ("ecdsa-key", "ecdsa-sha2-nistp256", ecdsa, 72)):
        signature = string(algorithm) + string(b"\0\0\0\x20" + b"s" * (size - 4))
        case(name, hello + packet(kexinit(host_key=algorithm)) + packet(
            b"\x1f" + string(key) + string(b"\x09" + bytes(31)) + string(signature)),
            legacy if algorithm in ("ssh-rsa", "ssh-dss") else 0)
    for hash_name in ("sha1", "sha256"):
        case(f"group-exchange-{hash_name}", hello + packet(
            kexinit(f"diffie-hellman-group-exchange-{hash_name}"))
            + packet(b"\x1f" + string(b"\0" + b"\xc1" * 256) + string(b"\2"))
            + packet(b"\x21" + string(ED25519) + string(b"\1" * 256)
                     + string(string("ssh-ed25519") + string(b"s" * 64))), legacy)
    case("reply-newkeys", hello + packet(kexinit()) + packet(reply) + packet(b"\x15"))
    case("no-common-method", hello + packet(kexinit("none-of-yours")))
    case("nistp256", hello + packet(kexinit("ecdh-sha2-nistp256")) + packet(
        b"\x1f" + string(ED25519) + string(b"\x04" + b"p" * 64) + string(b"s" * 64)))
    case("group14", hello + packet(kexinit("diffie-hellman-group14-sha256")) + packet(
        b"\x1f" + string(ED25519) + string(b"\x01" * 256) + string(b"s" * 64)))
    case("other-messages", hello + packet(b"\x02" + string("ignored")) + packet(
        b"\x04\x01" + string("debug") + string("")) + packet(b"\x03" + uint32(0))
        + packet(kexinit()))
    case("disconnect", hello + packet(b"\x01" + uint32(2) + string("go away") + string("")))
    case("huge-length", hello + uint32(0xFFFFFFFF) + b"\x04" + b"x" * 60)
    case("small-length", hello + uint32(1) + b"\x00" + b"x" * 60)
    case("no-ssh", b"220 mail.example ESMTP\r\n")


OPEN, TUNNEL, PTY, START, ENV, WRITE, EOF, CLOSE, KEEPALIVE, REKEY, CHUNK, DISCONNECT, SAY = range(13)


def say(*payload):
    return bytes([SAY]) + text(b"".join(payload))


def after_auth():
    def case(name, *steps):
        program = b"".join(bytes([step]) if isinstance(step, int) else step for step in steps)
        write("ssh_server_after_auth", name, program)

    confirm = say(b"\x5b", uint32(0), uint32(7), uint32(65536), uint32(32768))
    success = say(b"\x63", uint32(0))
    data = say(b"\x5e", uint32(0), string("output\n"))
    errors = say(b"\x5f", uint32(0), uint32(1), string("errors\n"))
    status = say(b"\x62", uint32(0), string("exit-status"), b"\0", uint32(3))
    signal = say(b"\x62", uint32(0), string("exit-signal"), b"\0", string("KILL"), b"\0",
                 string("killed"), string(""))
    eof = say(b"\x60", uint32(0))
    close = say(b"\x61", uint32(0))
    accept = say(b"\x06", string("ssh-userauth"))
    methods = say(b"\x33", string("publickey,password,keyboard-interactive"), b"\0")
    case("command", 0, OPEN, confirm, START, success, data, errors, status, eof, close, CLOSE)
    case("command-in-pieces", 0, CHUNK, b"\x01", OPEN, confirm, START, success, data, eof, CLOSE,
         close)
    case("shell", 0, OPEN, confirm, PTY, success, ENV, success, START, success, data, WRITE,
         say(b"\x5d", uint32(0), uint32(1000)), WRITE, EOF, CLOSE, close)
    case("signal", 0, OPEN, confirm, START, success, signal, eof, CLOSE, close)
    case("failures", 0, OPEN, say(b"\x5c", uint32(0), uint32(1), string("no"), string("")), OPEN,
         confirm, START, say(b"\x64", uint32(0)))
    case("tunnel", 0, TUNNEL, confirm, WRITE, data, eof, CLOSE, close)
    case("two-channels", 0, OPEN, confirm, OPEN,
         say(b"\x5b", uint32(1), uint32(8), uint32(10), uint32(10)), START, data,
         say(b"\x5e", uint32(1), string("other")), say(b"\x61", uint32(1)), CLOSE)
    case("new-keys", 0, OPEN, confirm, REKEY, START, success, REKEY, data, REKEY, eof, CLOSE, close)
    case("new-keys-cut-off", 0, OPEN, confirm, say(kexinit()), data, close)
    case("strange-kexinit", 0, say(kexinit("x")), say(b"\x1f"), say(b"\x15"))
    case("keepalive", 0, KEEPALIVE, say(b"\x52"), say(b"\x51"),
         say(b"\x50", string("keepalive@openssh.com"), b"\x01"),
         say(b"\x50", string("hostkeys-00@openssh.com"), b"\0", string(ED25519)))
    case("server-opens", 0, *[
        say(b"\x5a", string(kind), uint32(1), uint32(100), uint32(100), string("h"), uint32(1),
            string("o"), uint32(2))
        for kind in ("forwarded-tcpip", "x11", "auth-agent@openssh.com", "session")])
    case("requests", 0, OPEN, confirm, *[
        say(b"\x62", uint32(0), string(kind), b"\x01", uint32(1))
        for kind in ("exit-status", "exit-signal", "keepalive@openssh.com", "xon-xoff")])
    case("small-messages", 0, say(b"\x02", string("ignored")), say(b"\x03", uint32(1)),
         say(b"\x04\x01", string("debug"), string("en")),
         say(b"\x07", uint32(1), string("server-sig-algs"), string("rsa-sha2-256")))
    case("too-much-data", 0, OPEN, confirm, START, success,
         say(b"\x5e", uint32(0), uint32(0xFFFFFFFF), b"x"), say(b"\x5f", uint32(0)), say(b"\x5e"))
    case("wrong-channel", 0, OPEN, confirm, say(b"\x5e", uint32(9), string("x")),
         say(b"\x61", uint32(9)), say(b"\x62", uint32(9), string("exit-status"), b"\0", uint32(1)))
    case("goodbye", 0, OPEN, confirm, data,
         say(b"\x01", uint32(11), string("maintenance"), string("")))
    case("we-say-goodbye", 0, OPEN, confirm, DISCONNECT, data)
    case("empty-messages", 0, OPEN, say(b""), *[say(bytes([kind])) for kind in range(80, 101)])
    case("login-none", 4, accept, say(b"\x34"), OPEN, confirm)
    case("login-password", 1, accept, methods, methods, say(b"\x34"), OPEN, confirm)
    case("login-password-expired", 1, accept, methods, say(b"\x3c", string("change it"), string("")))
    case("login-banner", 1, accept, say(b"\x35", string("be careful\r\n"), string("")), methods,
         say(b"\x34"))
    question = say(b"\x3c", string("Login"), string("hello"), string(""), uint32(2),
                   string("Password: "), b"\0", string("Code: "), b"\x01")
    case("login-questions", 2, accept, methods, question, question,
         say(b"\x3c", string(""), string(""), string(""), uint32(0)), say(b"\x34"))
    case("login-many-questions", 2, accept, methods,
         say(b"\x3c", string(""), string(""), string(""), uint32(0x7FFFFFFF), string("x"), b"\0"))
    case("login-key", 3, accept, methods, say(b"\x3c", string("ssh-ed25519"), string(ED25519)),
         say(b"\x34"), OPEN, confirm)
    case("login-key-refused", 3, accept, methods, methods)
    case("login-wrong-service", 1, say(b"\x06", string("ssh-connection")), methods)


def sftp_server():
    STAT, OPEN, FOLDER, READ, WRITE, NEXT, FSTAT, CLOSE, RENAME, SYMLINK, RESOLVE, SEEK = (
        bytes([action]) for action in range(4, 16))

    def answer(kind, *payload):
        return b"\0" + bytes([kind]) + text(b"".join(payload))

    def case(name, *parts, greets=True):
        write("sftp_server", name, (b"\0" if greets else b"\1") + b"".join(parts))

    def status(code, words="Failure"):
        return answer(101, uint32(code), string(words), string("en"))

    handle = answer(102, string("handle"))
    size = b"\0" * 4 + uint32(4000)
    attributes = uint32(0xF) + size + uint32(1) * 2 + uint32(0o100644) + uint32(7) * 2
    case("stat", STAT, answer(105, attributes), STAT, status(2, "No such file"))
    case("read", OPEN, handle, READ, answer(103, string("content")), status(1), FSTAT,
         answer(105, attributes), CLOSE, status(0))
    case("read-refused", OPEN, status(3), OPEN, handle, READ, status(4), CLOSE, status(4))
    case("write", OPEN, handle, WRITE, *[status(0)] * 6, SEEK, b"\5", WRITE, status(4), CLOSE)
    names = answer(104, uint32(2), *[string(name) + string("-rw 1 " + name) + attributes
                                     for name in ("a", "../b")])
    case("list", FOLDER, handle, NEXT, names, NEXT, NEXT, status(1), CLOSE, status(0))
    case("links", SYMLINK, status(0), RESOLVE,
         answer(104, uint32(1), string("target"), string(""), uint32(0)), RENAME, status(11))
    case("extended", STAT, answer(105, uint32(0x8000000F), attributes[4:], uint32(1),
                                  string("acl@x"), string("y")))
    case("empty-answers", STAT, answer(105), OPEN, answer(102), FOLDER, answer(104), RESOLVE,
         answer(104), RENAME, answer(101))
    case("huge-counts", FOLDER, handle, NEXT, answer(104, uint32(0xFFFFFFFF)), OPEN,
         answer(102, uint32(0xFFFFFFFF)), READ, answer(103, uint32(0xFFFFFFFF), b"x"), RESOLVE,
         answer(104, uint32(1), uint32(0xFFFFFFF0), b"x"))
    case("in-pieces", STAT, b"\2" + text(b"\0\0\0"), b"\2" + text(b"\x22i\0\0\0\0"),
         b"\2" + text(attributes))
    case("huge-packet", STAT, b"\2" + text(uint32(0x7FFFFFFF) + b"e" * 40))
    case("others-answers", STAT, OPEN, b"\1" + bytes([101, 1]) + text(uint32(4)), handle,
         answer(105, attributes))
    case("no-greeting", b"\2" + text(uint32(5) + b"\2" + uint32(6)), STAT, greets=False)
    case("greeting-extensions", b"\2" + text(uint32(29) + b"\2" + uint32(3) + string("posix-rename")
                                             + string("1234")), STAT, greets=False)
    case("channel-ends", OPEN, handle, READ, b"\3" + text(b"\x60" + uint32(0)), READ,
         b"\3" + text(b"\x61" + uint32(0)))


if __name__ == "__main__":
    known_hosts()
    ssh_config()
    private_key()
    before_auth()
    after_auth()
    sftp_server()
