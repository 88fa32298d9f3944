"""Facts of the machine, as far as they can be told from text."""

import os

from lodge.system import procfs


def test_memory_of_an_old_kernel_counts_free_pages_as_available() -> None:
    old = "MemTotal:        1048576 kB\nMemFree:          524288 kB\n"
    assert procfs.parse_memory(old) == procfs.Memory(1024, 512)
    assert procfs.parse_memory("") == procfs.Memory(0, 0)


def test_a_cpu_without_the_field_has_an_empty_one() -> None:
    assert procfs.parse_cpu_field("processor : 0\n\nflags : fpu vmx\n", "flags") == "fpu vmx"
    assert procfs.parse_cpu_field("processor : 0\n", "cpu MHz") == ""


def test_this_machine_has_the_facts_every_machine_has() -> None:
    memory = procfs.memory()
    assert 0 < memory.available_mib <= memory.total_mib
    assert procfs.cpu_count() >= 1
    assert procfs.kernel_release() == os.uname().release
    assert procfs.uptime_s() > 0
    assert procfs.load_1m() >= 0
    assert procfs.host_name()
    assert procfs.clock_source()
    assert isinstance(procfs.clock_is_synchronised(), bool)
