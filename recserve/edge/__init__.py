"""What devices are given to answer by themselves, and what they tell of it.

    bundle     a directory with a model, read, verified and named by its contents
    offer      what is handed out of it, and when it is looked at again
    reports    what devices answered, told with the next events

Nothing here is imported before a device asks.
"""
