"""The console's rooms, one module each; `show` draws the room."""
