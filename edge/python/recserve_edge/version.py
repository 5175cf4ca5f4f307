"""The version of this package, for reports and the user agent."""

VERSION = "0.1.0"
