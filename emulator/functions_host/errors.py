"""What stops the host from starting.

    HostStartError
    |-- SettingsError      host.json or local.settings.json
    |-- DiscoveryError     function_app.py, its app object, its functions
    |   `-- RouteTemplateError
    `-- AddressError       the port or the address to listen on
    ScheduleError          a timer's schedule: the function does not run, and the host goes on

Each message says what was wrong, where, and what to do. Of those that stop the host, the command line
prints it and exits with 1.
"""


class HostStartError(Exception):
    """The host cannot start; the message is meant for the person who started it."""


class SettingsError(HostStartError):
    """A settings file is missing, unreadable or says something impossible."""


class DiscoveryError(HostStartError):
    """The function app cannot be imported or indexed."""


class RouteTemplateError(DiscoveryError):
    """A route template cannot be understood."""


class AddressError(HostStartError):
    """The address cannot be listened on."""


class ScheduleError(Exception):
    """A timer's schedule cannot be understood, or never comes; its function is in error, no other."""
