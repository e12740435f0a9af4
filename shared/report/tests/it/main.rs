//! Reports and exports of runs whose models and callers are hostile.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod archive;
mod final_answer;
mod images;
mod page;
mod parts;
mod sample;
mod tables;
