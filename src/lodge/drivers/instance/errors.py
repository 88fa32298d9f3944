"""What can fail while an instance is run.

UnavailableError
|-- InstanceStartError    its process ended while it was being started
|-- DriverTimeoutError    it does not answer in time
|-- DriverRefusedError    it answered that it could not do it
|-- AgentMissingError     no agent answers in the guest
|-- GuestCommandTimeoutError  a command in the guest did not end in time
|-- AgentError            the agent answered with an error
`-- SuspendError          its memory could not be written or read back
StateError
`-- HandleLostError       nothing runs under the handle
UnsupportedError
`-- ScreenMissingError    it has no graphical screen
InvalidError
|-- PlanRefusedError      this host can never run the plan
`-- InstanceDriverUnknownError  no driver has that name
"""

from lodge.base.errors import InvalidError, StateError, UnavailableError, UnsupportedError

__all__ = [
    "AgentError",
    "AgentMissingError",
    "DriverRefusedError",
    "DriverTimeoutError",
    "GuestCommandTimeoutError",
    "HandleLostError",
    "InstanceDriverUnknownError",
    "InstanceStartError",
    "PlanRefusedError",
    "ScreenMissingError",
    "SuspendError",
]


class InstanceStartError(UnavailableError):
    """The instance's process ended while it was being started; details carry its last output."""

    code = "instance_start_failed"
    hint_text = "read the whole log with: lodge logs NAME --log qemu"
    retryable = False


class DriverTimeoutError(UnavailableError):
    """The instance's process is there but does not answer in time."""

    code = "driver_timeout"
    hint_text = "if it stays like this, pull the plug with: lodge stop NAME"


class DriverRefusedError(UnavailableError):
    """The instance's process answered that it could not do what was asked."""

    code = "driver_refused"
    retryable = False


class HandleLostError(StateError):
    """Nothing runs under the handle, or what runs there is not this instance."""

    code = "handle_lost"
    hint_text = "the instance is not running; start it again"


class AgentMissingError(UnavailableError):
    """No guest agent answers in the guest."""

    code = "agent_missing"
    hint_text = "install and start qemu-guest-agent in the guest, or wait until it has booted"


class AgentError(UnavailableError):
    """The guest agent answered with an error; the message carries its own words."""

    code = "agent_error"
    retryable = False


class GuestCommandTimeoutError(UnavailableError):
    """A command in the guest did not end in time; it was killed there."""

    code = "guest_command_timeout"
    hint_text = "give it more time with --timeout"
    retryable = False


class SuspendError(UnavailableError):
    """Memory could not be written to, or read back from, its file."""

    code = "suspend_failed"


class ScreenMissingError(UnsupportedError):
    """The instance has no graphical screen."""

    code = "screen_missing"
    hint_text = "use its serial console: lodge console NAME"


class PlanRefusedError(InvalidError):
    """This host can never run an instance like this; ``where`` names the field."""

    code = "plan_refused"


class InstanceDriverUnknownError(InvalidError):
    """No instance driver has that name."""

    code = "instance_driver_unknown"
