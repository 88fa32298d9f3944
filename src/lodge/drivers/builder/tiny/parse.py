"""What the kernel says about its modules (``modules.dep``, depmod(8)); pure."""

from pathlib import PurePosixPath

__all__ = ["load_order", "parse_modules"]


def _plain(name: str) -> str:
    return name.replace("-", "_")


def parse_modules(text: str) -> dict[str, tuple[str, list[str]]]:
    """Read ``modules.dep``: plain module name to (file, plain names it needs).

    >>> parse_modules("kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko")
    {'vfat': ('kernel/fs/fat/vfat.ko', ['fat'])}
    """
    found = {}
    for line in text.splitlines():
        file, _, needs = line.partition(":")
        found[_name(file)] = (file, [_name(need) for need in needs.split()])
    return found


def _name(file: str) -> str:
    return _plain(PurePosixPath(file).name.partition(".ko")[0])


def load_order(wanted: tuple[str, ...], modules: dict[str, tuple[str, list[str]]]) -> list[str]:
    """List module files in an order in which each finds what it needs already loaded."""
    order: list[str] = []

    def add(name: str) -> None:
        if name not in modules or modules[name][0] in order:
            return
        file, needs = modules[name]
        for need in reversed(needs):
            add(need)
        order.append(file)

    for name in wanted:
        add(_plain(name))
    return order
