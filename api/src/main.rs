//! The acm2 binary.
fn main() {}
