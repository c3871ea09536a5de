"""The kernel, and the only code that knows schema names. It knows no HTTP and no feature.

To read it in order: names, context, registry, directory, feed, resolve, bind, rights, install, provision, fleet.
"""
