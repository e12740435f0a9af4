//! What callers see of judging: figures under names, words for what is missing, and nothing that depends on an order.

mod panel;
mod shown;
mod steady;
