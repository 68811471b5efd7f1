//! NSQ at a terminal.

fn main() {}
