"""The deployed package, sent what nobody should send: `python -m benchmarks fuzz`.

cases     what one connection is sent    wire      kinds that break HTTP itself
client    sending it, and by when        contents  kinds with odd JSON, queries, paths, sizes
bench     both halves of the requests    memory    what worker and host hold of it
"""
