"""Application Insights on one machine: what Azurite is to Storage, this is to telemetry.

An item's way through this package:

    serving     a socket and uvicorn            application  paths, limits, the order of it all
    ingestion   requests in groups, one fsync   envelopes    what the exporters send, to rows
    tables      every column, once              journal      rows that are acknowledged and not yet Parquet
    store       Parquet by table and hour       layout       where files lie, and what a crash leaves behind
    bags        keys of bags as columns         parquet      reading and writing such files

A question's way back: `application`, then `queries` (over the store, which `timespan` bounds), `translation` (KQL to
SQL, in which `rewriting` puts columns in the place of keys, and `shortcuts` quick forms in that of slow ones) and
`answers` (rows to the JSON of the Log Analytics API). `faults` are switches for tests of those who send.
"""
