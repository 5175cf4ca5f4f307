"""The edge held against the cloud: parity, bytes, waits behind round trips, quality lost, and life without a network.

histories, judging    what clients are asked, and what came of it
browser, page, start  the JavaScript client in headless Chromium
parity, client        the Python client
vectors               answers of the service that both clients must give
report                the table in docs/edge.md
"""
