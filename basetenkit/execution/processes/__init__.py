"""Processes that send in place of the run's own thread: `workers=N`.

A notebook's kernel computes now and then, and holds the interpreter meanwhile; a process that only sends is not disturbed by
that. `crew` is the parent's side: it starts the processes, shares a level out among them and takes their rows in. `worker` is
theirs: a LoadGenerator that takes orders on stdin and reports on stdout (`protocol`). What must hold over all of them while they
send is counted in a `SharedCounters` that they share, so that none waits for the parent.

They share one epoch: CLOCK_MONOTONIC is the machine's, not a process's. Each worker shows that when it starts (its clock lies
between two readings of the parent's), and a level begins for all at one moment of it. Elsewhere than on this machine the same
worker would be spoken to over another road, and its times would count from its own start of the level: times of two machines
are never subtracted from one another.
"""
