"""Where the host gets its Debian packages from, so that guests are built from the same mirror.

The parsing is pure; ``host_sources`` asks the host's apt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lodge.system import process

__all__ = [
    "PackageSource",
    "apt_settings",
    "host_codename",
    "host_sources",
    "parse_settings",
    "parse_targets",
    "sources_for",
    "without_password",
]

_ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_KEPT_SETTINGS = re.compile(
    r"Acquire::(?:https?::(?:Proxy|ProxyAutoDetect)\b.*|Check-Valid-Until|Check-Date|Retries)"
)
_SETTING = re.compile(r'(?P<name>[A-Za-z0-9:_.-]+) "(?P<value>[^"\\]*)";')
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(/[^\s\]]+)", re.I)


@dataclass(frozen=True, slots=True)
class PackageSource:
    """One suite of one mirror."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None

    def line(self) -> str:
        """Write it as a line of ``sources.list`` (sources.list(5))."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {self.suite} {' '.join(self.components)}"


def parse_targets(text: str) -> list[dict[str, str]]:
    """Read what ``apt-get indextargets`` prints: paragraphs of ``Name: value``."""
    paragraphs = []
    for block in text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines() if ": " in line)
        if fields:
            paragraphs.append(fields)
    return paragraphs


def sources_for(
    suite: str, targets: Sequence[Mapping[str, str]], codename: str
) -> list[PackageSource]:
    """Turn the host's Debian sources into those of another suite of the same mirrors.

    Other repositories, which know nothing of that suite, are left out.

    >>> host = {"Created-By": "Packages", "Release": "bookworm-updates", "Component": "main",
    ...         "Repo-URI": "http://mirror.test/debian/", "Origin": "Debian"}
    >>> sources_for("trixie", [host], "bookworm")[0].line()
    'deb http://mirror.test/debian/ trixie-updates main'
    """
    found: dict[tuple[str, str, str | None], list[str]] = {}
    for target in targets:
        release = target.get("Release", "")
        if target.get("Created-By") != "Packages" or target.get("Origin") != "Debian":
            continue
        if release != codename and not release.startswith(f"{codename}-"):
            continue
        key = (target["Repo-URI"], suite + release[len(codename) :], target.get("Signed-By"))
        components = found.setdefault(key, [])
        if target.get("Component") and target["Component"] not in components:
            components.append(target["Component"])
    return [
        PackageSource(uri, suite_name, tuple(components), keys)
        for (uri, suite_name, keys), components in found.items()
    ]


def parse_settings(text: str) -> list[str]:
    r"""Pick from ``apt-config dump`` what is needed to reach and to trust the host's mirror.

    >>> parse_settings('APT "";\nAcquire::http::Proxy "http://p.test:1/";\n')
    ['Acquire::http::Proxy "http://p.test:1/";']
    """
    return [
        match[0]
        for match in _SETTING.finditer(text)
        if match["value"] and _KEPT_SETTINGS.fullmatch(match["name"])
    ]


def without_password(line: str) -> str:
    """Remove user and password from the address in a source line.

    >>> without_password("deb https://me:secret@mirror.test/debian trixie main")
    'deb https://mirror.test/debian trixie main'
    """
    words = []
    for word in line.split(" "):
        parts = urlsplit(word) if "://" in word else None
        if parts is not None and "@" in parts.netloc:
            words.append(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
        else:
            words.append(word)
    return " ".join(words)


def host_codename(os_release: Path = Path("/etc/os-release")) -> str:
    """Return the code name of the host's distribution, empty when it has none."""
    for line in os_release.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip("\"'")
    return ""


def _keys_of(entry: str) -> str | None:
    """Find the key ring that a source file names for itself (``FILE:NUMBER``)."""
    file = Path(entry.rpartition(":")[0])
    if file.is_file() and (match := _SIGNED_BY.search(file.read_text(errors="replace"))):
        return match[1]
    return str(_ARCHIVE_KEYS) if _ARCHIVE_KEYS.exists() else None


def _real_uri(uri: str) -> str:
    """Read the first mirror of a mirror list, because a guest has no such file."""
    scheme, _, path = uri.partition("+file:")
    if scheme != "mirror":
        return uri
    file = Path("/" + path.strip("/"))
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line.strip() and not line.startswith("#"):
            return line.split()[0]
    return uri


async def host_sources(suite: str) -> list[PackageSource]:
    """List sources of a Debian suite on the host's own mirrors; empty when it has none."""
    answer = await process.run(["apt-get", "indextargets"])
    targets = parse_targets(answer.stdout.decode(errors="replace"))
    for target in targets:
        target["Repo-URI"] = _real_uri(target.get("Repo-URI", ""))
        if keys := _keys_of(target.get("Sourcesentry", "")):
            target["Signed-By"] = keys
    return sources_for(suite, targets, host_codename())


async def apt_settings() -> list[str]:
    """List the host's own apt settings that reaching its mirror may need."""
    answer = await process.run(["apt-config", "dump"])
    return parse_settings(answer.stdout.decode(errors="replace"))
