"""Opens sealed boxes with PyNaCl: {"key", "box"} in base64 a line, {"opened"} a line."""

import base64
import json
import sys

from nacl.public import PrivateKey, SealedBox

for line in sys.stdin:
    asked = json.loads(line)
    key = PrivateKey(base64.b64decode(asked["key"]))
    opened = SealedBox(key).decrypt(base64.b64decode(asked["box"]))
    print(json.dumps({"opened": opened.decode()}), flush=True)
