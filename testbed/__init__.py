"""Everything that starts a server: on this machine (`embedded`), with faults (`faults`), in a cluster."""
