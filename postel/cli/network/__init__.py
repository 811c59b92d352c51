"""Network of a command: from its options to a host on a link, with recording.

Theory of operation
-------------------

Each command that needs a network adds the options of `attachment`, and of `names` where it resolves names. An
`Attachment` checks the options without touching the device. Its ``network`` then builds this::

    command ── aio.Network ── Host ── recording ── TUN device ── kernel's side
                              10.7.0.2             postel0       10.7.0.1

- `device` makes the TUN device if need be, gives the kernel its addresses, and refuses a device that another
  program uses. It runs iproute2's ``ip``.
- `recording` puts an observer around the link. It draws the ladder when the command ends (``--ladder``), and
  writes the packets into a file while they pass (``--pcapng``).

``postel serve --workers N`` opens the device N times (`workers`, `siblings`). Each worker is a process with a
queue of the device and a host of its own; all have the same addresses, secret and listeners::

                          ┌─ queue 0 ── worker 0
    kernel ── hash of ────┼─ queue 1 ── worker 1
              addresses   └─ queue 2 ── worker 2
              and ports

The kernel chooses the queue by a hash that is the same for both directions of a connection, so all segments
of a connection reach the same worker. ICMP errors have no ports and may reach the wrong worker, so each
worker passes them to the others. The parent keeps every queue open, so that the number of queues, and with it
the hash, stays the same when a worker dies.

With ``--lab``, `laboratory` gives the command a simulated network in virtual time instead of a device, with
a name server (`nameserver`) and a web server, and `interference` has the options that lose or delay packets.
"""
