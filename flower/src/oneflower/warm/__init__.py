"""App processes that start warm, and Flower's own programs with shorter waits.

``bin`` holds programs under Flower's names; a Flower that finds them first on its PATH runs through this package.
``flwr-clientapp`` and ``flwr-serverapp`` ask a process that has everything imported, the zygote, for a clean fork of
itself; the servers start Flower's own code in their own process and change waits in memory. Whatever is not as it
was when this was written ends in Flower as it is: slower, never otherwise.
"""
