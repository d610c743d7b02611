"""The programs and files that README.md shows are the ones in examples/, to the letter."""

import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
blocks = re.findall(r"^```(\w+)\n(.*?)^```$", (root / "README.md").read_text(), re.M | re.S)
failed = False
for language, name in [("cpp", "examples/first_program/main.cpp"),
                       ("yaml", "examples/first_program/devices.yaml")]:
    if (root / name).read_text() not in [text for kind, text in blocks if kind == language]:
        print(f"README.md does not show {name} as it is", file=sys.stderr)
        failed = True
sys.exit(failed)
