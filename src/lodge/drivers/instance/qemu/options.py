"""Every setting of the QEMU driver, as one table: type, default, bounds and meaning."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lodge.drivers.instance.qemu.errors import InvalidOptionError
from lodge.model.record import Spec

__all__ = ["QemuOptions", "read_options"]


class QemuOptions(Spec, frozen=True, kw_only=True):
    """The settings; each field's description is its documentation."""

    accelerator: Annotated[
        Literal["auto", "kvm", "tcg"],
        Meta(description="auto: KVM where a guest has proven it, else TCG; or force one of them"),
    ] = "auto"
    probe_timeout_s: Annotated[
        float,
        Meta(gt=0, le=300, description="seconds a tiny guest has to come up under KVM"),
    ] = 15.0
    cache: Annotated[
        Literal["writeback", "none", "unsafe"],
        Meta(
            description="disk cache: writeback uses the host's page cache and honours flushes;"
            " none bypasses the page cache; unsafe ignores flushes (test guests only)"
        ),
    ] = "writeback"
    aio: Annotated[
        Literal["threads", "native", "io_uring"],
        Meta(description="how QEMU waits for disks; native needs cache none"),
    ] = "threads"
    spare_ports: Annotated[
        int,
        Meta(ge=0, le=32, description="free PCIe ports a q35 machine gets for later hotplug"),
    ] = 4
    max_cpus: Annotated[
        int,
        Meta(
            ge=0,
            le=255,
            description="virtual CPUs a q35 machine may grow to while it runs;"
            " 0: twice its CPUs, at least 4",
        ),
    ] = 0
    tcg_buffer_mib: Annotated[
        int,
        Meta(
            ge=32,
            le=2047,
            description="most memory one guest's translated code may take under TCG, in MiB",
        ),
    ] = 256


def read_options(values: Mapping[str, Any], *, where: str = "drivers.qemu") -> QemuOptions:
    """Check settings given as plain values; what is left out has its default.

    Raises:
        InvalidOptionError: an unknown name, a wrong type or bound, or a contradiction.
    """
    try:
        options = msgspec.convert(dict(values), QemuOptions)
    except msgspec.ValidationError as error:
        raise InvalidOptionError(f"QEMU driver setting: {error}", where=where) from error
    if options.aio == "native" and options.cache != "none":
        raise InvalidOptionError(
            f"aio 'native' does not work with cache {options.cache!r}",
            where=f"{where}.aio",
            hint="set cache to none, or aio to threads or io_uring",
        )
    return options
