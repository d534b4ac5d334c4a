"""Ringtoll: a cycle-approximate IA-32 machine that shows what crossing a protection boundary costs."""

__version__ = "0.1.0"
