"""The local Juju behind Juju's own command line: `juju deploy`, `juju status`, `juju run` … (README.md)."""
