"""How the API is fuzzed, whatever stands behind it: fakes here, the whole product elsewhere."""

from collections.abc import Callable
from dataclasses import replace

from lodge.api.server import ApiSettings
from lodge.system.certificate import Certificate

LEFT_OUT = (
    "ignored_auth",  # floods the limit on wrong tokens, as it should; tested by hand
    "positive_data_acceptance",  # a well-formed name may still be taken, reserved or unknown
)


def https_door(certificate: Certificate) -> Callable[[ApiSettings], ApiSettings]:
    """Open an HTTPS door on a free port of loopback, with the patience of a test."""

    def change(settings: ApiSettings) -> ApiSettings:
        return replace(
            settings,
            listen=(("127.0.0.1", 0),),
            certificate=certificate.certificate,
            key=certificate.key,
            stall_s=5.0,
        )

    return change


def fuzz_arguments(
    url: str, certificate: Certificate, secret: str, *, seconds: int, seed: int
) -> list[str]:
    """The arguments of schemathesis."""
    return [
        "run",
        f"{url}/v1/openapi.json",
        f"--tls-verify={certificate.certificate}",
        f"--header=Authorization: Bearer {secret}",
        "--phases=examples,coverage,fuzzing",
        f"--max-time={seconds}",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        "--request-timeout=10",
        f"--seed={seed}",
        "--warnings=off",
        "--no-color",
    ]
