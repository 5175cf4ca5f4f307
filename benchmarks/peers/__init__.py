"""Recserve beside other model servers: the same graph, the same requests, the same core, in turns.

settings      what a peer's server is told, written by the harness and read in the peer's environment
scoring       what all peers do with a request; runs in their environments
*_server      one peer each, as its users would write it
environments  a virtual environment for each peer
contenders    who takes part, and the settings that are tried
running       a contender's processes, on a core of their own
measuring     latency of one client, throughput, and the highest rate inside the SLO
comparison    ratios over rounds, with intervals
bench         environments, agreement, choice of settings, rounds, table
"""
