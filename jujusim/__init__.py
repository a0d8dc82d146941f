"""A local Juju for one application: real hooks, modelled controller, virtual time. See README.md here."""
