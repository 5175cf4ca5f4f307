"""What can go wrong between the repository and a package that starts."""


class DeploymentError(Exception):
    """The package cannot be made, or does not start; the message says what to do."""
