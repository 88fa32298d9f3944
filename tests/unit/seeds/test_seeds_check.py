"""Broken documents are refused before a guest is made of them."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.check import check_cloud_init
from lodge.services.seeds.errors import CloudInitInvalidError
from lodge.services.seeds.ssh import check_ssh_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAjHaZwq2EXngswuTOyeriCRbf8Q5X6pQpKSj3I5A8mt"


def user_data(text: str) -> CloudInitSpec:
    return CloudInitSpec(user_data=text)


def refusal(spec: CloudInitSpec) -> CloudInitInvalidError:
    with pytest.raises(CloudInitInvalidError) as refused:
        check_cloud_init(spec)
    return refused.value


MULTIPART = """Content-Type: multipart/mixed; boundary="XX"
MIME-Version: 1.0

--XX
Content-Type: text/cloud-config

#cloud-config
{config}
--XX
Content-Type: text/x-shellscript

#!/bin/sh
--XX--
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#cloud-config\n",
        "#cloud-config\n{}\n",
        "#cloud-config   \npackages: [nginx]\nusers: [default, {name: ann}]\n",
        "#cloud-config\nhostname: 1234\nruncmd:\n - ls\n - [sh, -c, 'a: b']\n",
        "#!/bin/bash\nthis: [is not yaml\n",
        "#!/usr/bin/env python3\n",
        "#include\nhttps://example.test/x\n",
        "## template: jinja\n#cloud-config\n{% if x %}\n",
        "#cloud-boothook\n",
        MULTIPART.format(config="packages: [less]"),
    ],
)
def test_what_cloud_init_understands_passes_without_a_word(text: str) -> None:
    assert check_cloud_init(user_data(text)) == ()


def test_broken_yaml_is_told_with_its_line_and_column() -> None:
    error = refusal(user_data("#cloud-config\npackages: [a\nruncmd: b\n"))
    assert error.code == "cloud_init_invalid"
    assert (error.details["line"], error.details["column"]) == (3, 7)
    assert error.where == "cloud_init.user_data"
    assert "line 3, column 7" in error.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("packages: [a]\n", "first line must be #cloud-config"),
        ("#cloud-conf\npackages: [a]\n", "first line must be #cloud-config"),
        ("#cloud-config\n- a\n", "must be a mapping"),
        ("#cloud-config\njust words\n", "must be a mapping"),
        ("#cloud-config\npackages: nginx\n", "'packages' must be a list"),
        ("#cloud-config\nruncmd: {a: b}\n", "'runcmd' must be a list"),
        ("#cloud-config\npakages: [a]\n", "did you mean 'packages'"),
        ("#cloud-config\nwrite-files: []\n", "did you mean 'write_files'"),
        ("#cloud-config\nruncmd: [a]\nruncmd: [b]\n", "second time"),
        ("#cloud-config\na: !!python/object/apply:os.system [ls]\n", "could not determine"),
        ("#cloud-config\n" + "[" * 5000, "levels"),
        ("#cloud-config\na: \x00\n", "not valid YAML"),
        ("#cloud-config\na: *nobody\n", "undefined alias"),
        ("#cloud-config\ntimezone: 2026-99-99\n", "cannot be read"),
        (MULTIPART.format(config="packages: [a"), "parts[0]"),
        ("Content-Type: multipart/mixed; boundary=XX\n\nno parts\n", "not a whole multi-part"),
        ("x" * 2_000_000, "at most 1 MiB"),
    ],
)
def test_what_would_fail_in_the_guest_is_refused_here(text: str, says: str) -> None:
    error = refusal(user_data(text))
    assert says in f"{error.message} {error.hint}"


def test_an_unknown_setting_is_told_but_passes() -> None:
    (warning,) = check_cloud_init(user_data("#cloud-config\nmy_own_module: {x: 1}\n"))
    assert "my_own_module" in warning


def test_vendor_data_is_checked_too() -> None:
    spec = CloudInitSpec(vendor_data="#cloud-config\npackages: 5\n")
    assert refusal(spec).where == "cloud_init.vendor_data.packages"


def test_keys_that_would_reach_nobody_are_told() -> None:
    text = "#cloud-config\nusers: [{name: ann}]\n"
    (warning,) = check_cloud_init(CloudInitSpec(user_data=text, ssh_keys=(KEY,)))
    assert "default" in warning
    both = text.replace("[{", "[default, {")
    assert check_cloud_init(CloudInitSpec(user_data=both, ssh_keys=(KEY,))) == ()


@pytest.mark.parametrize(
    "text",
    ["version: 2\n", "network:\n  version: 1\n  config: []\n", "{version: 2, ethernets: {}}"],
)
def test_network_configs_of_version_1_and_2_pass(text: str) -> None:
    assert check_cloud_init(CloudInitSpec(network_config=text)) == ()


@pytest.mark.parametrize("text", ["", "version: 3\n", "[]", "version: [2\n", "ethernets: {}\n"])
def test_other_network_configs_are_refused(text: str) -> None:
    assert refusal(CloudInitSpec(network_config=text)).where == "cloud_init.network_config"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        f"{KEY} ann@home",
        f"  {KEY}\n",
        f'from="10.0.0.1",no-pty {KEY} x',
    ],
)
def test_public_keys_in_all_their_forms_pass(key: str) -> None:
    assert check_ssh_key(key) == key.strip()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        KEY[:-10],
        KEY[:40],
        KEY.replace("ssh-ed25519", "ssh-rsa"),
        KEY.replace("ssh-ed25519", "ssh-what"),
        f"{KEY}\n{KEY}",
        "ssh-ed25519 !!!!",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
        f"ssh-ed25519 {base64.b64encode(b'x' * 9).decode()}",
        KEY + " " + "x" * 20000,
    ],
)
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(CloudInitInvalidError) as refused:
        check_cloud_init(CloudInitSpec(ssh_keys=(KEY, key)))
    assert refused.value.where == "cloud_init.ssh_keys[1]"
    assert "PRIVATE" not in refused.value.message


@given(st.text(max_size=300))
def test_no_text_brings_the_check_down(text: str) -> None:
    for spec in (
        CloudInitSpec(user_data=text),
        CloudInitSpec(user_data=f"#cloud-config\n{text}"),
        CloudInitSpec(network_config=text),
        CloudInitSpec(ssh_keys=(text,)),
    ):
        with suppress(CloudInitInvalidError):
            check_cloud_init(spec)
