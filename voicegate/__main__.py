"""``python -m voicegate``."""

from voicegate.cli import main

main()
