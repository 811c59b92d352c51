"""Pictures: `ladder` draws a connection's segments, `diagram` the states and the way that each end took."""
