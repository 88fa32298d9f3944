"""Write docs/reference/cli.md from the commands; with --check, say whether it is up to date."""

import sys
from pathlib import Path

from lodge.cli.reference import reference

PAGE = Path(__file__).parent / "reference" / "cli.md"


def main() -> int:
    """Write or check the page."""
    wanted = reference()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
            return 0
        sys.stderr.write(f"{PAGE} is stale: run python docs/cli_reference.py\n")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
