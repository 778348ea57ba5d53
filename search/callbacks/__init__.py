"""Whom a launch tells of its runs beside the store; see `callback` for what one writes."""

from search.callbacks.callback import Callback, ToldEpoch, ToldRun

__all__ = ["Callback", "ToldEpoch", "ToldRun"]
