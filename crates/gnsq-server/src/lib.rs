//! nsqd and nsqlookupd in memory, to embed in tests and demos.
