//! A run as people take it away: [`page`], one HTML page that needs nothing else, and [`archive`], a ZIP with everything as JSON,
//! tables and texts. Called by the api; pure but for the bytes that it makes, and knows no store and no HTTP.
//!
//! Whatever models and callers wrote is hostile here. The page is made of templates that escape every value and holds no script;
//! cells of [`tables`] that a spreadsheet would take for a formula begin with an apostrophe; names in the archive are made anew.

pub mod archive;
pub mod images;
mod input;
pub mod page;
pub mod tables;

pub use input::{Failed, Reported};
