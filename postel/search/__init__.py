"""Searches run one test of a world with many seeds, and make its failures small.

The command is ``postel sim``. A `Runner` runs the test in a process of its own, as often as it is called.
`processes` and `cluster` spread the seeds over such processes, on this machine or on a Dask cluster.
`results` keeps the outcomes in an SQLite database. `shrink` finds the fewest and shortest faults with which a
run still fails.
"""
