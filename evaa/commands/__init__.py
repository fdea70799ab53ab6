"""What a person runs from a shell: the stages' commands and the terminal client.

A command gets what it works on already opened, writes to the streams that it is given, and returns its exit status.
"""
