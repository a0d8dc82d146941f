"""The peer relation's class, which does nothing on purpose.

charms.reactive looks for such a class, and logs an error in every hook if there is
none. An `Endpoint` would read the data of every peer in each of this relation's
hooks: N calls a hook. And if the class returned an object for its name,
charms.reactive would pass that to every handler of a `coordinator.…` flag.
"""

from charms.reactive.relations import RelationFactory


class CoordinatorPeers(RelationFactory):
    """Gives charms.reactive no object, for any name or flag; the layer reads what it needs by itself."""

    @classmethod
    def from_name(cls, name):
        """Return None: there is no object for this relation."""
        return None

    from_flag = from_name
