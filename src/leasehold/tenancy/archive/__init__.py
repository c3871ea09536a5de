"""The archive of one tenant: all that it has, in one file that another installation can read.

To read it in order: manifest, sealing, shape, snapshot, copying, rewrapping, writing, exporting; then reading, moving,
building, importing. Nothing here names a file but `landing`, so an archive may go wherever bytes can be written.
"""
