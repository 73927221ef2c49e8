"""``actors dev``: worker and scheduler in one terminal, started anew when the code changes, and what they do just now.

Each of the two is the command that users run elsewhere, as a process of its own: this one imports no module of theirs,
so that a reload is one. What the processes tell of themselves comes in lines of JSON among what they write.
"""
