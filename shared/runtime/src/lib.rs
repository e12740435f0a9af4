//! What a process of ACM2 needs before it does anything of ACM2: configuration, logs, the way to end, limits of the machine.
//! Called by the api's commands; knows no store, no broker, no HTTP.

pub mod config;
pub mod embedded_secret;
pub mod file_limit;
pub mod panic_report;
pub mod shutdown;
pub mod telemetry;
