"""Searches run one test of a world with many seeds, and make its failures small.

The command is ``postel sim``. A `Runner` is a process that runs the test as often as it is asked to.
`processes` and `cluster` spread the seeds over such processes, on this machine or on a Dask cluster.
`results` keeps the outcomes in SQLite. `shrink` finds the fewest and shortest faults with which a run still
fails.
"""
