"""Everything that starts a server: on this machine (`embedded`), with faults in between (`faults`), in a cluster."""
