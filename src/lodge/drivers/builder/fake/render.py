"""The smallest sound qcow2 file; pure. Source: QEMU docs/interop/qcow2.txt, version 3."""

import struct

__all__ = ["empty_qcow2"]

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_HEADER_BYTES = 104
_BYTES_PER_L2 = _CLUSTER // 8 * _CLUSTER


def empty_qcow2(size_bytes: int, serial: int = 0) -> bytes:
    """Return an empty disk: header, refcount table, refcount block, L1 table, a cluster each.

    ``serial`` stands where no reader looks, so that equal disks can differ as files.
    """
    l1_entries = -(-size_bytes // _BYTES_PER_L2)
    fields = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, _CLUSTER_BITS, size_bytes, 0, l1_entries),
        *(3 * _CLUSTER, _CLUSTER, 1, 0, 0, 0, 0, 0, 4, _HEADER_BYTES),
    )
    header = fields + struct.pack(">QQ", 0, serial)  # the end of the extensions, then anything
    table = struct.pack(">Q", 2 * _CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    clusters = (header, table, counts, b"")
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in clusters)
