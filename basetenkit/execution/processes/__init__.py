"""Processes that send instead of the run's own thread: `workers=N`.

A notebook's kernel computes now and then, and holds the interpreter meanwhile; a process that only sends is not disturbed by that.
`executor` starts the processes on this machine, and `group` divides a level among them and collects their rows; `cluster` uses the
same `group` for other machines. `worker` is a LoadGenerator that takes orders on stdin and reports on stdout (`protocol`). Counts
that must hold over all of them are in `SharedCounters`, so that none waits for the parent.

They share one clock: CLOCK_MONOTONIC is of the machine, not of a process. Each worker shows that when it starts (its clock lies
between two readings of the parent's), and a level begins for all at the same time.
"""
