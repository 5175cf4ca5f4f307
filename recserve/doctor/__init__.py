"""What would keep the app from serving, before it is deployed: `python -m recserve.doctor`.

Nothing here is imported by the app; it ships with it, so that it can be asked on an instance as well.
"""
