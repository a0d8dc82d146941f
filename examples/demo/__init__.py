"""`make demo`: scenes with the example charms, live, on the local Juju of this repository."""
