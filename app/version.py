"""The package's version, also that of the OpenAPI document."""

VERSION = "0.1.0"
