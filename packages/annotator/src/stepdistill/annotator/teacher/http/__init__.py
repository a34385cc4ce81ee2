"""One request over HTTP: the transports."""
