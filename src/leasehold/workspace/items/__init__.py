"""Items: the example resource. Replace this folder by your own domain."""
