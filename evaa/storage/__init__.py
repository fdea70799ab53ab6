"""Session stores, plug-ins of `protocols.ports.SessionStore`, and the spill file for what no store could take."""
