"""What the views' pages are made of: `<view>_<topic>.py` is one topic of one view.

A panel asks nothing by itself but for what somebody clicked: the view asks for all at once, and hands the answers on.
"""
