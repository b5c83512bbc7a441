"""What Python's and the shells' dotenv readers read: {reader: [value or null, for each .env]}.

usage: python readers.py FOLDERS KEY, where FOLDERS holds 0/.env, 1/.env, ...
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys

import dotenv
import environs
import honcho.environ

FOLDERS, KEY = pathlib.Path(sys.argv[1]), sys.argv[2]


def with_environs(path):
    environment = environs.Env()
    environment.read_env(str(path), recurse=False, override=True)
    try:
        return environment.str(KEY, None)
    finally:
        os.environ.pop(KEY, None)


def with_shell(shell):
    script = 'set -a; . "$1" >/dev/null 2>&1; [ -n "${%s+x}" ] && printf %%s "$%s"' % (KEY, KEY)

    def read(path):
        run = subprocess.run(
            [shell, "-c", script, shell, str(path)], env={"PATH": os.environ["PATH"]}, capture_output=True
        )
        return run.stdout.decode() if run.returncode == 0 else None

    return read


READERS = {
    "python-dotenv": lambda path: dotenv.dotenv_values(path).get(KEY),
    "environs": with_environs,
    "honcho": lambda path: honcho.environ.parse(path.read_text()).get(KEY),
    "bash": with_shell("bash"),
    "sh": with_shell("sh"),
}


def read(reader, path):
    try:
        return reader(path)
    except Exception:
        return None


paths = [
    path
    for path in itertools.takewhile(
        pathlib.Path.exists, (FOLDERS / str(index) / ".env" for index in itertools.count())
    )
]
print(json.dumps({name: [read(reader, path) for path in paths] for name, reader in READERS.items()}))
