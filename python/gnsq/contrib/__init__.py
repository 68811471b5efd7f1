"""Handlers for what many consumers need: batches, queues, messages that are given up, and Sentry.

Each is connected to a signal of a :class:`~gnsq.Consumer`. Blinker holds receivers weakly: keep the handler somewhere,
or connect it with ``weak=False``.
"""
