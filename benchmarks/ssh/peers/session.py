"""SSH sessions with AsyncSSH.

session.py KNOWN_HOSTS USER KEY_FILE SESSIONS AT_ONCE COMMAND [tuned]

As one writes it, with the library's defaults; tuned, with known_hosts parsed once and the algorithms
that the other contenders use. Without a key file the password is the user's name. Prints the nanoseconds of CPU time that a
session has cost, from connect to close, the process's start and the keys' parsing left out.
"""

import asyncio
import sys
import time

import asyncssh


def read_devices(name):
    devices = []
    with open(name) as file:
        for line in file:
            host, kind, key = line.split()
            address, port = host.lstrip("[").split("]:")
            trusted = [asyncssh.import_public_key(f"{kind} {key}")]
            devices.append((address, int(port), trusted))
    return devices


def tuned_for(trusted):
    return {
        "known_hosts": (trusted, [], []),
        "kex_algs": ["curve25519-sha256"],
        "encryption_algs": ["aes128-ctr"],
        "mac_algs": ["hmac-sha2-256"],
        "compression_algs": None,
    }


async def run(device, user, keys, command, known_hosts):
    host, port, trusted = device
    options = {"known_hosts": known_hosts} if known_hosts else tuned_for(trusted)
    async with asyncssh.connect(
        host,
        port,
        config=None,
        username=user,
        password=None if keys else user,
        client_keys=keys,
        agent_path=None,
        **options,
    ) as connection:
        result = await connection.run(command, check=True)
        if len(result.stdout) < 4096:
            raise SystemExit(f"{len(result.stdout)} bytes of output")


async def main(known_hosts, user, key_file, sessions, at_once, command, *tuned):
    devices = read_devices(known_hosts)
    keys = [asyncssh.read_private_key(key_file)] if key_file else None
    if tuned:
        known_hosts = None
    await run(devices[0], user, keys, command, known_hosts)

    numbers = iter(range(int(sessions)))

    async def work():
        for number in numbers:
            await run(devices[number % len(devices)], user, keys, command, known_hosts)

    began = time.process_time_ns()
    await asyncio.gather(*(work() for _ in range(int(at_once))))
    print((time.process_time_ns() - began) // int(sessions))


asyncio.run(main(*sys.argv[1:]))
