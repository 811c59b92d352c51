"""Counters of a host for Prometheus, in its text format: show `metrics(host)` under /metrics of any web
server.

Read them when they are asked for: a host counts anyway, so it costs nothing in between. For OpenTelemetry,
give the same numbers to its observable counters and gauges.
"""

from postel import Host, sim

GAUGES = (
    "connections",
    "orphans",
    "half_open",
    "requests",
    "time_wait",
    "memory_used",
    "datagram_sockets",
    "fragments_held",
)


def metrics(host: Host) -> str:
    lines = []
    for name, value in host.statistics().items():
        kind, suffix = ("gauge", "") if name in GAUGES else ("counter", "_total")
        if name.startswith("dropped_"):
            lines.append(f'postel_dropped_packets_total{{reason="{name.removeprefix("dropped_")}"}} {value}')
        else:
            lines += [f"# TYPE postel_{name}{suffix} {kind}", f"postel_{name}{suffix} {value}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Two hosts in virtual time: one connection, and one that is refused."""
    world = sim.World(seed=1)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server)
    server.listen(80, world.now)
    client.connect("10.0.0.2", 80, world.now)
    client.connect("10.0.0.2", 81, world.now)
    world.run()
    print(metrics(server), end="")


if __name__ == "__main__":
    main()
