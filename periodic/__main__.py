from __future__ import annotations

import sys

NOT_YET = 2

if __name__ == "__main__":
    sys.stderr.write("periodic: this release has no scheduler yet\n")
    sys.exit(NOT_YET)
