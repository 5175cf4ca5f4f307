"""What stops the plan, and what a command cannot do; each message is meant for the person at the terminal."""


class PlanError(Exception):
    """The plan cannot start, or cannot go on."""


class InstanceFailed(PlanError):
    """An instance did not become ready; the message ends with its own last lines."""


class CommandError(Exception):
    """A command cannot be done; nothing has changed."""
