"""Look at cloud-init documents before a guest is made of them."""

import difflib
import email
import tomllib
from collections.abc import Mapping
from email.message import Message
from functools import cache
from importlib.resources import files
from typing import Any

from lodge.base.units import format_size
from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.document import read_yaml
from lodge.services.seeds.errors import CloudInitInvalidError
from lodge.services.seeds.ssh import check_ssh_key

__all__ = ["MAX_DOCUMENT_BYTES", "check_cloud_init"]

MAX_DOCUMENT_BYTES = 1 << 20
_MAX_PARTS = 64
_CLOUD_CONFIG = "#cloud-config"
_UNREAD_HEADERS = (
    "#!",
    "#cloud-boothook",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "#include",
    "#part-handler",
    "## template:",
)
_MULTIPART_HEADERS = ("content-type:", "mime-version:")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "list": (list,),
    "mapping": (dict,),
    "string": (str, int, float),  # YAML reads an unquoted 1234 as a number; cloud-init takes both
}
_NETWORK_VERSIONS = (1, 2)
_UNREACHED_KEYS = (
    "cloud_init.ssh_keys go to the image's default user, which cloud_init.user_data replaces:"
    " list 'default' among its users, or give the keys there"
)
_TYPO = 0.8  # how alike two words are (difflib) before one is taken for a slip of the other


@cache
def _known_keys() -> Mapping[str, str]:
    return tomllib.loads((files("lodge.services.seeds") / "known_keys.toml").read_text())


def check_cloud_init(spec: CloudInitSpec) -> tuple[str, ...]:
    """Refuse what cannot work; return what only looks odd, as sentences.

    Broken YAML, a missing header, a slip in a well-known key and a damaged SSH key are refused. A
    key nobody knows is only told, because images may carry modules of their own.

    Raises:
        CloudInitInvalidError: with the document, and line and column where there are any.
    """
    warnings: list[str] = []
    for number, key in enumerate(spec.ssh_keys):
        check_ssh_key(key, where=f"cloud_init.ssh_keys[{number}]")
    if spec.user_data is not None:
        warnings += _check_document(spec.user_data, "cloud_init.user_data")
        warnings += _check_keys_arrive(spec)
    if spec.vendor_data is not None:
        warnings += _check_document(spec.vendor_data, "cloud_init.vendor_data")
    if spec.network_config is not None:
        _check_network(spec.network_config, "cloud_init.network_config")
    return tuple(warnings)


def _check_document(text: str, where: str) -> list[str]:
    size = len(text.encode())
    if size > MAX_DOCUMENT_BYTES:
        raise CloudInitInvalidError(
            f"{where} has {format_size(size)}, at most {format_size(MAX_DOCUMENT_BYTES)} fit",
            where=where,
        )
    if not text.strip() or text.startswith(_UNREAD_HEADERS):
        return []
    if text.split("\n", 1)[0].rstrip() == _CLOUD_CONFIG:
        return _check_cloud_config(text, where)
    if text.lower().startswith(_MULTIPART_HEADERS):
        return _check_parts(text, where)
    first = text.split("\n", 1)[0][:60]
    raise CloudInitInvalidError(
        f"{where} starts with {first!r}, which cloud-init does not recognise",
        where=where,
        hint=f"the first line must be {_CLOUD_CONFIG} for a configuration or #! for a script",
    )


def _check_parts(text: str, where: str) -> list[str]:
    message = email.message_from_string(text)
    parts = [part for part in message.walk() if not part.is_multipart()]
    if not message.is_multipart() or message.defects:
        raise CloudInitInvalidError(f"{where} is not a whole multi-part message", where=where)
    if len(parts) > _MAX_PARTS:
        raise CloudInitInvalidError(f"{where} has more than {_MAX_PARTS} parts", where=where)
    warnings: list[str] = []
    for number, part in enumerate(parts):
        if part.get_content_type() == "text/cloud-config":
            warnings += _check_cloud_config(_content(part), f"{where}.parts[{number}]")
    return warnings


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode(errors="replace") if isinstance(payload, bytes) else ""


def _check_cloud_config(text: str, where: str) -> list[str]:
    config = read_yaml(text, where=where)
    if config is None:
        return []
    if not isinstance(config, dict):
        raise CloudInitInvalidError(
            f"{where} must be a mapping of settings, not a {type(config).__name__}", where=where
        )
    return [warning for key, value in config.items() for warning in _check_key(key, value, where)]


def _check_key(key: object, value: Any, where: str) -> list[str]:
    known = _known_keys()
    name = str(key)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=_TYPO)
        if close:
            raise CloudInitInvalidError(
                f"{where}: cloud-init has no setting {name!r}",
                where=f"{where}.{name}",
                hint=f"did you mean {close[0]!r}?",
            )
        return [f"{where}: cloud-init itself has no setting {name!r}"]
    wanted = known[name]
    if value is not None and not isinstance(value, _TYPES.get(wanted, object)):
        raise CloudInitInvalidError(
            f"{where}: {name!r} must be a {wanted}, not {value!r:.60}", where=f"{where}.{name}"
        )
    return []


def _check_keys_arrive(spec: CloudInitSpec) -> list[str]:
    """Tell when keys given beside the document reach nobody."""
    text = spec.user_data or ""
    if not spec.ssh_keys or not text.startswith(_CLOUD_CONFIG):
        return []
    config = read_yaml(text, where="cloud_init.user_data")
    users = config.get("users") if isinstance(config, dict) else None
    if isinstance(users, list) and "default" not in users:
        return [_UNREACHED_KEYS]
    return []


def _check_network(text: str, where: str) -> None:
    config = read_yaml(text, where=where)
    if isinstance(config, dict) and isinstance(config.get("network"), dict):
        config = config["network"]
    version = config.get("version") if isinstance(config, dict) else None
    if version not in _NETWORK_VERSIONS:
        raise CloudInitInvalidError(
            f"{where} must be a mapping with version 1 or 2, its version is {version!r}",
            where=where,
        )
