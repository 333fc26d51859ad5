"""A server a file: `find` it on this machine; `get` it once, alone, finished before it is put in its place."""
