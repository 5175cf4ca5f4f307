"""What is deployed, and the proof that it starts: `python -m deployment package`.

package     the zip: which files, their dependencies, their bytecode
trial       the zip unpacked where nothing else is, answering under Microsoft's worker library
hosting     the same with the stand-in host before it, so that it answers over HTTP
interpreter the Python 3.13 that both need
"""
