//! A plan's rules, one by one.
