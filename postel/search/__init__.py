"""Searches: one test that uses the fixture ``world``, run once for each of many seeds, and its failures made
small.

`Runner` is a process that runs the test again and again. `processes` and `cluster` spread the seeds over such
processes, on this machine or on a Dask cluster; `results` keeps what came out in SQLite; `shrink` finds the
fewest and shortest faults that still make a run fail. The command is ``postel sim``.
"""
